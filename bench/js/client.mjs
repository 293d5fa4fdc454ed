// The load of scenario peer through the client of this repository.
//
//   node client.mjs ENDPOINT
//
// Connections of one client share its WebSocket. Those of the kind "own" have a client for each, so that each has a WebSocket
// of its own, as with the peer; those of the kind "shared" are made by the same lines as the peer's.
import process from "node:process";
import { createClient } from "@stagedoor/client";
import { serveCounters } from "./counters.mjs";

const endpoint = process.argv[2];
const one = createClient(endpoint);

serveCounters((i, kind) => {
  const client = kind === "shared" ? one : createClient(endpoint);
  const conn = client.bench.getOrCreate([kind, String(i)]).connect();
  return new Promise((resolve, reject) => {
    conn.onOpen(() => resolve(conn));
    conn.onError(reject);
  });
});
