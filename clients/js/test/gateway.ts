import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** bin is a program that `make` built at the root of the repository. */
export const bin = (name: string): string => fileURLToPath(new URL(`../../../bin/${name}`, import.meta.url));

export interface GatewayOptions {
  /** Default "dev". Without development, errors tell nothing of the application's. */
  readonly command?: "dev" | "gateway";
  /** Behind the command, besides the address and the directory. */
  readonly args?: readonly string[];
  /** The runner's command: [bin("examples")] hosts counter and chat. Default none. */
  readonly runner?: readonly string[];
  /** Default a free port. Give one to start a gateway again at its place. */
  readonly port?: number;
  /** Default a directory of its own, removed when the gateway stops; one that is given stays. */
  readonly data?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly data: string;
  /** What it has logged so far. */
  readonly log: readonly string[];
  /** SIGTERM, and waits for its end. */
  stop(): Promise<void>;
  /** SIGKILL, and waits for its end. Its runner, if it has one, is killed by its own death signal or reconnects in vain. */
  kill(): Promise<void>;
}

/** startGateway runs a real gateway on the loopback, and resolves when it is ready, with a runner: when that has registered. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const data = options.data ?? (await mkdtemp(join(tmpdir(), "stagedoor-js-")));
  const log: string[] = [];
  const command = bin("stagedoor");
  if (!existsSync(command)) throw new Error("bin/stagedoor is not built: run make build");
  const args = [options.command ?? "dev", "--listen", `127.0.0.1:${options.port ?? 0}`, "--data", join(data, "store"), ...(options.args ?? [])];
  if (options.runner) args.push("--", ...options.runner);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...options.env } });
  const exited = once(child, "exit");
  const orphaned = () => child.kill("SIGTERM"); // a test that timed out has not stopped it
  process.once("exit", orphaned);
  const port = await listening(child, log);
  const url = `http://127.0.0.1:${port}`;
  await ready(url, child, log);

  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await exited;
    }
    process.off("exit", orphaned);
    if (options.data === undefined) await rm(data, { recursive: true, force: true });
  };
  return { url, port, pid: child.pid as number, data, log, stop: () => end("SIGTERM"), kill: () => end("SIGKILL") };
}

/** listening resolves with the port that the gateway says it listens on. */
function listening(child: ChildProcess, log: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    let rest = "";
    const take = (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() as string;
      for (const line of lines) {
        log.push(line);
        const match = /127\.0\.0\.1:(\d+)/.exec(line);
        if (match) resolve(Number(match[1]));
      }
    };
    child.stdout?.setEncoding("utf8").on("data", take);
    child.stderr?.setEncoding("utf8").on("data", take);
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`the gateway ended before it listened:\n${log.join("\n")}`)));
  });
}

async function ready(url: string, child: ChildProcess, log: readonly string[]): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the gateway ended before it was ready:\n${log.join("\n")}`);
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
