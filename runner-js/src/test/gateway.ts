import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { findBinary } from "../registry/binary.ts";

/** A gateway for one test. */
export interface TestGateway {
  readonly endpoint: string;
  /** Stops it and removes its data. */
  stop(): Promise<void>;
}

/** How long a gateway may take until it listens. */
const startTimeoutMs = 15_000;

/** Starts a gateway on a free port of this machine, with data of its own. */
export async function startTestGateway(): Promise<TestGateway> {
  const binary = findBinary(process.env, process.cwd());
  if (binary === undefined) throw new Error("there is no stagedoor binary in STAGEDOOR_BIN, PATH or bin/");
  const data = await mkdtemp(join(tmpdir(), "stagedoor-test-"));
  const child = spawn(binary, ["dev", "--listen", "127.0.0.1:0", "--data", data], { stdio: ["ignore", "pipe", "pipe"], env: bareEnvironment() });
  const kill = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", kill);
  const stop = async (): Promise<void> => {
    process.removeListener("exit", kill);
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    }
    await rm(data, { recursive: true, force: true });
  };
  try {
    return { endpoint: await listening(child), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Without what tells a gateway of another store, or of tokens. */
function bareEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("STAGEDOOR_")));
}

/** Reads the address from what the gateway prints, and goes on reading so that it never waits for us. */
function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const printed: string[] = [];
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(new Error(`the gateway of the test did not start: ${why}\n${printed.join("\n")}`));
    };
    const timer = setTimeout(fail, startTimeoutMs, "it does not listen");
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface(stream).on("line", (line) => {
        if (printed.length < 50) printed.push(line);
        const url = /^\s*HTTP\s+(http:\S+)/.exec(line)?.[1];
        if (url === undefined) return;
        clearTimeout(timer);
        resolve(url);
      });
    }
    child.once("error", (error) => {
      fail(error.message);
    });
    child.once("exit", () => {
      fail("it ended");
    });
  });
}
