// A real gateway, and runners of this process behind it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterEach } from "vitest";
import { bin, startGateway, type Gateway, type GatewayOptions } from "../../clients/js/test/gateway.ts";
import { createClient, type Client, type ClientOptions } from "@stagedoor/client";
import type { Definition } from "../src/actor/definition.ts";
import type { Logger, LogMethod } from "../src/actor/log.ts";
import { createHost, type ActorHost, type HostOptions } from "../src/host/index.ts";
import { runLink, type LinkOptions } from "../src/link/index.ts";

import type { actors } from "./e2e-actors.ts";

export { bin };

const ends: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

export function atEnd(end: () => Promise<unknown> | void): void {
  ends.push(end);
}

export async function gateway(options: GatewayOptions = {}): Promise<Gateway> {
  const g = await startGateway(options);
  atEnd(() => g.kill()); // it would wait for killed runners
  return g;
}

/** Lines is a logger that keeps what it is told. */
export interface Lines extends Logger {
  readonly lines: { level: string; message: string; fields: Record<string, unknown> }[];
}

export function linesOf(): Lines {
  const lines: Lines["lines"] = [];
  const at = (level: string): LogMethod => (first: string | object, second?: string | object) => {
    const [message, fields] = typeof first === "string" ? [first, second] : [second, first];
    lines.push({ level, message: typeof message === "string" ? message : "", fields: (fields ?? {}) as Record<string, unknown> });
  };
  return { trace: at("trace"), debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), fatal: at("fatal"), lines };
}

export interface RunningHost {
  readonly host: ActorHost;
  readonly log: Lines;
  /** Hands the actors over, and waits for the end. */
  stop(): Promise<void>;
}

/** runner hosts definitions behind a gateway until the end of the test, and is there when the gateway has taken it. */
export async function runner(
  g: Gateway,
  definitions: Record<string, Definition>,
  options: Partial<LinkOptions> & Partial<HostOptions> = {},
): Promise<RunningHost> {
  const log = linesOf();
  const host = createHost(definitions, { log, ...options });
  const stopping = new AbortController();
  let taken!: () => void;
  const ready = new Promise<void>((resolve) => (taken = resolve));
  const done = runLink({ endpoint: g.url, host, log, signal: stopping.signal, drainTimeoutMs: 5000, onReady: taken, ...options });
  await Promise.race([ready, done]);
  const stop = () => {
    stopping.abort();
    return done;
  };
  atEnd(() => stop().catch(() => undefined));
  return { host, log, stop };
}

export interface Answer {
  readonly status: number;
  readonly output?: unknown;
  readonly error?: { group: string; code: string; message: string; metadata?: unknown; retryable: boolean; ran?: string };
}

/** call calls an action over HTTP, with JSON. */
export async function call(g: Gateway, address: string, action: string, ...args: unknown[]): Promise<Answer> {
  const answer = await fetch(`${g.url}/v1/actors/${address}/actions/${action}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ args }),
  });
  return { status: answer.status, ...((await answer.json()) as object) };
}

/** until waits for a condition. */
export async function until(condition: () => unknown): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A runner in a process of its own. */
export interface RunnerProcess {
  /** SIGKILL, and waits for its end. */
  kill(): Promise<void>;
  /** SIGTERM, and waits for its end; the answer is the exit code. */
  stop(): Promise<number | null>;
}

let bundle: Promise<string> | undefined;

/** runnerProcess starts one, and is there when the gateway has taken it. */
export async function runnerProcess(g: Gateway, version = 1): Promise<RunnerProcess> {
  bundle ??= bundled();
  const child = spawn(process.execPath, [await bundle, g.url, String(version)], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await exited;
    }
  };
  atEnd(() => end("SIGKILL"));
  await Promise.race([once(child.stdout, "data"), exited.then(() => Promise.reject(new Error("the runner ended before it was ready")))]);
  return { kill: () => end("SIGKILL"), stop: () => end("SIGTERM").then(() => child.exitCode) };
}

/** bundled makes one file of e2e-process.ts, since Node 20 runs no TypeScript. */
async function bundled(): Promise<string> {
  const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  const directory = await mkdtemp(join(tmpdir(), "stagedoor-runner-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const outfile = join(directory, "runner.mjs");
  await build({
    entryPoints: [at("e2e-process.ts")], bundle: true, platform: "node", format: "esm", outfile, logLevel: "error",
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    alias: { "@stagedoor/client/values": at("../../clients/js/src/values/index.ts"), "@stagedoor/client": at("../../clients/js/src/index.ts"), "#websocket": at("../../clients/js/src/socket/node.ts") },
  });
  return outfile;
}

/** client is a client of the gateway, to the end of the test. */
export function client(g: Gateway, options: ClientOptions = {}): Client<{ config: { use: typeof actors } }> {
  const made = createClient<{ config: { use: typeof actors } }>(g.url, { backoffMinMs: 10, ...options });
  atEnd(() => made.dispose());
  return made;
}
