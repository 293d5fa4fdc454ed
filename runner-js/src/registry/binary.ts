import { accessSync, constants, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

type Environment = Readonly<Record<string, string | undefined>>;

const names = process.platform === "win32" ? ["stagedoor.exe"] : ["stagedoor"];

/**
 * Where the `stagedoor` binary is: STAGEDOOR_BIN, else in PATH, else in `bin/` of the repository that the working directory
 * or this package is in, if it is this user's or root's. undefined: nowhere. A STAGEDOOR_BIN that cannot be run is an error.
 */
export function findBinary(env: Environment, workingDirectory: string): string | undefined {
  const named = env["STAGEDOOR_BIN"];
  if (named) {
    if (isExecutable(named)) return named;
    throw new Error(`STAGEDOOR_BIN is ${JSON.stringify(named)}, which cannot be run`);
  }
  const inPath = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const above = [...binFolders(workingDirectory), ...binFolders(dirname(fileURLToPath(import.meta.url)))];
  return filesIn(inPath).find(isExecutable) ?? filesIn(above).find((path) => isExecutable(path) && isTrusted(path));
}

function filesIn(folders: readonly string[]): string[] {
  return folders.flatMap((folder) => names.map((name) => join(/* turbopackIgnore: true */ folder, name))); // not files of an application that is bundled
}

/** `bin` beside a folder and each one above it. */
function binFolders(from: string): string[] {
  const folders: string[] = [];
  for (let at = from; ; at = dirname(at)) {
    folders.push(join(at, "bin"));
    if (dirname(at) === at) return folders;
  }
}

/** Folders above may be everybody's, such as /tmp: what somebody else has put there is not run. */
function isTrusted(path: string): boolean {
  const { uid } = statSync(path);
  return process.getuid === undefined || uid === process.getuid() || uid === 0;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
