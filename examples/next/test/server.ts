// The example as a user builds and starts it.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const next = fileURLToPath(new URL("../../../node_modules/next/dist/bin/next", import.meta.url));

function environment(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const { NODE_ENV: _, VITEST: __, ...inherited } = process.env;
  return { ...inherited, NEXT_TELEMETRY_DISABLED: "1", NEXT_MANUAL_SIG_HANDLE: "true", NO_COLOR: "1", ...more };
}

/** What `next build` says. */
export async function build(env: Readonly<Record<string, string>>): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [next, "build"], { cwd: root, env: environment(env) });
  return stdout + stderr;
}

export interface Server {
  readonly url: string;
  /** What it has said so far. */
  readonly output: () => string;
  /** SIGTERM; its exit status. */
  stop(): Promise<number>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Runs `next start` as `npm start` does, and resolves when it listens. */
export async function start(env: Readonly<Record<string, string>>): Promise<Server> {
  const port = await freePort();
  const args = [next, "start", "--hostname", "127.0.0.1", "--port", String(port)];
  const child = spawn(process.execPath, args, { cwd: root, env: environment(env), stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  let said = "";
  await new Promise<void>((resolve, reject) => {
    const take = (chunk: string): void => {
      said += chunk;
      if (said.includes("Ready in")) resolve();
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    child.once("exit", (code) => reject(new Error(`next start ended with ${code}:\n${said}`)));
  });
  const stop = async (): Promise<number> => {
    child.kill("SIGTERM");
    const [code] = (await exited) as [number];
    return code;
  };
  return { url: `http://127.0.0.1:${port}`, output: () => said, stop };
}
