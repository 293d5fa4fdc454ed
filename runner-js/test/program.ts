import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { onTestFinished } from "vitest";
import { bin } from "../../clients/js/test/gateway.ts";

// Programs of users, run as processes of their own: bundled from a source file, with the packages from their sources and under
// the names of the reference document too.

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const packages = {
  rivetkit: at("../src/index.ts"),
  "rivetkit/client": at("../src/client.ts"),
  stagedoor: at("../src/index.ts"),
  "stagedoor/client": at("../src/client.ts"),
  "@stagedoor/client": at("../../clients/js/src/index.ts"),
  "#websocket": at("../../clients/js/src/socket/node.ts"),
  "@stagedoor/client/values": at("../../clients/js/src/values/index.ts"),
};

/** A directory that is removed with the test. */
export async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "stagedoor-program-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Bundles a program for Node; `source` is its text, or `entry` its file beside this one. */
export async function bundle(folder: string, program: { readonly source: string } | { readonly entry: string }, name = "program"): Promise<string> {
  const outfile = join(folder, `${name}.mjs`);
  await build({
    ...("source" in program
      ? { stdin: { contents: program.source, resolveDir: at("."), loader: "ts" as const } }
      : { entryPoints: [at(program.entry)] }),
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    alias: packages,
    logLevel: "error",
    ignoreAnnotations: true, // the programs stand in a package that says it has no side effects
    // Packages that are CommonJS ask for modules of Node by require.
    banner: { js: 'import { createRequire as _require } from "node:module"; const require = _require(import.meta.url);' },
  });
  return outfile;
}

/** A program that runs. */
export interface Program {
  readonly pid: number;
  readonly process: ChildProcess;
  /** All lines of its standard output and error. */
  readonly output: readonly string[];
  /** Fulfilled with the first line that matches. */
  line(pattern: RegExp): Promise<string>;
  /** Fulfilled with its status, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
}

/** Runs a program; it is ended with the test, if it runs still. */
export function run(
  file: string,
  options: {
    readonly cwd: string;
    readonly env?: Readonly<Record<string, string>>;
    /** Default: this Node. */
    readonly command?: string;
    /** Before the file. */
    readonly args?: readonly string[];
  },
): Program {
  const { NODE_ENV: _, VITEST: __, ...inherited } = process.env;
  const child = spawn(options.command ?? process.execPath, [...(options.args ?? []), file], {
    cwd: options.cwd,
    env: { ...inherited, STAGEDOOR_BIN: bin("stagedoor"), ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of [...waiting]) look();
  };
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      output.push(...lines);
      wake();
    });
  }
  let over = false;
  const exited = once(child, "close").then(([status, signal]) => {
    over = true;
    wake();
    return (signal ?? status) as number | NodeJS.Signals;
  });
  onTestFinished(async () => {
    child.kill("SIGTERM"); // it stops what it has started
    const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await exited;
    clearTimeout(late);
  });
  const line = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = output.find((text) => pattern.test(text));
        if (found === undefined && !over) return;
        waiting.delete(look);
        if (found !== undefined) resolve(found);
        else reject(new Error(`the program ended without a line like ${pattern}:\n${output.join("\n")}`));
      };
      waiting.add(look);
      look();
    });
  return { pid: child.pid as number, process: child, output, line, exited };
}

/** An address of this machine that is free now. */
export async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `127.0.0.1:${port}`;
}

/** Fulfilled when nothing listens at an address any more. */
export async function untilGone(address: string): Promise<void> {
  while ((await fetch(`http://${address}/healthz`).catch(() => undefined)) !== undefined) await new Promise((resolve) => setTimeout(resolve, 20));
}
