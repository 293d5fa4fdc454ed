// The JavaScript side of edge/bench/task: a process that repeats an operation for a while when it is asked to over HTTP.
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import process from "node:process";

/** announce tells the bench where the process listens. */
export function announce({ address, port }) {
  process.stdout.write(`${JSON.stringify({ msg: "listening", address: `${address}:${port}` })}\n`);
}

/** serveTasks does what it is asked to: perform takes a task and gives (a promise of) a result, both as edge/bench has them. */
export function serveTasks(perform) {
  const server = createServer((request, response) => {
    answer(request, perform).then(
      (result) => response.end(JSON.stringify(result)),
      (error) => response.writeHead(500).end(String(error?.stack ?? error)),
    );
  });
  process.once("SIGTERM", () => process.exit(0)); // not by the signal: a profile may have to be written
  server.listen(0, "127.0.0.1", () => announce(server.address()));
}

async function answer(request, perform) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return perform(JSON.parse(Buffer.concat(parts).toString()));
}
