import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../actor/log.ts";
import { findBinary } from "./binary.ts";
import { developmentEndpoint, developmentListen } from "./endpoint.ts";
import { settings } from "./settings.ts";
import { joinUsers, recordGateway } from "./users.ts";

/** How long a gateway may take until it answers. */
const startTimeoutMs = 15_000;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Finds the development gateway, or starts one: `stagedoor dev` with its data in STAGEDOOR_DATA (`.stagedoor` in the working
 * directory). The address decides which one it is, so processes share it. It outlives the process that started it, and is
 * stopped when the last process that used it ends or leaves it; one that was started by hand is left alone.
 *
 * @returns leaves it
 */
export async function ensureGateway(env: Environment, log: Logger): Promise<() => void> {
  const endpoint = developmentEndpoint(env);
  const users = joinUsers(new URL(endpoint).host); // before the probe: the last one that leaves meanwhile must see this one
  try {
    if (await isGateway(endpoint)) log.info(`using the development gateway at ${endpoint}`);
    else await startGateway(endpoint, users.folder, env, log);
  } catch (error) {
    users.leave();
    throw error;
  }
  return users.leave;
}

async function startGateway(endpoint: string, folder: string, env: Environment, log: Logger): Promise<void> {
  const binary = findBinary(env, process.cwd());
  if (binary === undefined) {
    throw new Error(
      `no endpoint is configured, nothing listens at ${endpoint}, and there is no stagedoor binary to start in STAGEDOOR_BIN, PATH or bin/; ` +
        "set STAGEDOOR_ENDPOINT, or start `stagedoor dev`",
    );
  }
  const data = env["STAGEDOOR_DATA"] || join(process.cwd(), ".stagedoor");
  log.info(`starting the development gateway ${binary} at ${endpoint}, data in ${data}`);
  const logFile = join(folder, `gateway-${process.pid}.log`);
  const child = spawnGateway(binary, data, logFile, env);
  if (child.pid !== undefined) recordGateway(folder, child.pid, developmentListen(env));
  await untilReady(endpoint, child, logFile);
}

function spawnGateway(binary: string, data: string, logFile: string, env: Environment): ChildProcess {
  mkdirSync(data, { recursive: true });
  const output = openSync(logFile, "w", 0o600);
  try {
    // Detached: Ctrl-C in the terminal must not end it before the actors are handed over.
    const child = spawn(binary, ["dev", "--listen", developmentListen(env), "--data", data], {
      detached: true,
      stdio: ["ignore", output, output],
      env: gatewayEnvironment(env),
    });
    child.unref();
    return child;
  } finally {
    closeSync(output);
  }
}

/** What the runner is told is not meant for the gateway, whose variables begin alike. */
function gatewayEnvironment(env: Environment): NodeJS.ProcessEnv {
  const own = new Set<string>(settings.flatMap((setting) => setting.variables));
  return Object.fromEntries(Object.entries(env).filter(([name]) => !own.has(name)));
}

/** Waits until a gateway answers: this one, or that of another process that was first and has the port. */
async function untilReady(endpoint: string, child: ChildProcess, logFile: string): Promise<void> {
  let ended: string | undefined;
  child.once("error", (error) => (ended = error.message));
  child.once("exit", (code, signal) => (ended ??= `it ended with ${signal ?? `status ${code}`}`));
  const until = performance.now() + startTimeoutMs;
  for (;;) {
    const fate = ended; // read before the probe: what answers behind its end is another gateway
    if (await isGateway(endpoint)) return;
    if (fate !== undefined) throw new Error(`the development gateway did not start: ${fate}\n${lastLines(logFile)}`);
    if (performance.now() > until) throw new Error(`the development gateway did not answer at ${endpoint}\n${lastLines(logFile)}`);
    await delay(25);
  }
}

function lastLines(file: string): string {
  try {
    return readFileSync(file, "utf8").split("\n").slice(-20).join("\n");
  } catch {
    return "";
  }
}

/** Whether a Stagedoor gateway answers there. Something else that answers is an error. */
async function isGateway(endpoint: string): Promise<boolean> {
  let answer: Response;
  try {
    answer = await fetch(`${endpoint}/v1/metadata`, { signal: AbortSignal.timeout(2_000), redirect: "error" });
  } catch {
    return false;
  }
  const about: unknown = await answer.json().catch(() => undefined);
  if (typeof about === "object" && about !== null && "name" in about && about.name === "stagedoor") return true;
  throw new Error(`something else than a stagedoor gateway listens at ${endpoint}; set STAGEDOOR_LISTEN or STAGEDOOR_ENDPOINT`);
}
