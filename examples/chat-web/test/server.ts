// The example's server as a process, built as `npm start` builds it.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));

export async function build(): Promise<void> {
  await promisify(execFile)("npm", ["run", "build"], { cwd: root });
}

export interface Server {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
  /** SIGKILL: no goodbye to anybody. */
  kill(): Promise<void>;
}

/** Resolves when the server has said where it listens. port 0: a free one. */
export async function startServer(endpoint: string, port = 0): Promise<Server> {
  const child = spawn(process.execPath, ["dist/server.js"], {
    cwd: root,
    env: { ...process.env, STAGEDOOR_ENDPOINT: endpoint, PORT: String(port) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const url = await address(child);
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await exited;
  };
  return { url, port: Number(new URL(url).port), stop: () => end("SIGTERM"), kill: () => end("SIGKILL") };
}

function address(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
      const match = /chat: (http:\S+\/)\n/.exec(said);
      if (match) resolve(match[1]!);
    });
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}:\n${said}`)));
  });
}
