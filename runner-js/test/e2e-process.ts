// A runner in a process of its own: node e2e-process.mjs ENDPOINT VERSION. It says "ready" when the gateway has taken it.
import { consoleLogger } from "../src/actor/log.ts";
import { createHost } from "../src/host/index.ts";
import { runLink } from "../src/link/index.ts";
import { actors } from "./e2e-actors.ts";

const [endpoint = "", version = "0"] = process.argv.slice(2);
const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
const log = consoleLogger("warn");
await runLink({
  endpoint,
  version: Number(version),
  host: createHost(actors, { log }),
  log,
  signal: stopping.signal,
  drainTimeoutMs: 10_000,
  onReady: () => console.log("ready"),
});
