import { accessSync, constants, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

type Environment = Readonly<Record<string, string | undefined>>;

const names = process.platform === "win32" ? ["stagedoor.exe"] : ["stagedoor"];

/**
 * Where the `stagedoor` binary is: STAGEDOOR_BIN, else in PATH, else in `bin/` of the repository that the working directory
 * or this package is in. undefined: nowhere. A STAGEDOOR_BIN that cannot be run is an error.
 */
export function findBinary(env: Environment, workingDirectory: string): string | undefined {
  const named = env["STAGEDOOR_BIN"];
  if (named) {
    if (isExecutable(named)) return named;
    throw new Error(`STAGEDOOR_BIN is ${JSON.stringify(named)}, which cannot be run`);
  }
  const folders = [
    ...(env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== ""),
    ...binFolders(workingDirectory),
    ...binFolders(dirname(fileURLToPath(import.meta.url))),
  ];
  for (const folder of folders) {
    for (const name of names) {
      const path = join(folder, name);
      if (isExecutable(path)) return path;
    }
  }
  return undefined;
}

/** `bin` beside a folder and each one above it. */
function binFolders(from: string): string[] {
  const folders: string[] = [];
  for (let at = from; ; at = dirname(at)) {
    folders.push(join(at, "bin"));
    if (dirname(at) === at) return folders;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
