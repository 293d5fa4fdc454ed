// The load of scenario peer through rivetkit's client, with its usual encoding.
//
//   node client.mjs ENDPOINT
import process from "node:process";
import { createClient } from "rivetkit/client";
import { serveCounters } from "../js/counters.mjs";

const client = createClient(process.argv[2]);

serveCounters(async (i, kind) => {
  const conn = client.bench.getOrCreate([kind, String(i)]).connect();
  await conn.getCount(); // which waits for the connection
  return conn;
});
