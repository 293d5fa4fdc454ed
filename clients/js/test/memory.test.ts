// What a client keeps: nothing of connections and calls that are over.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bin, startGateway } from "./gateway.ts";
import type { Gateway } from "./gateway.ts";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
let scratch: string;
let gateway: Gateway;

beforeAll(async () => {
  [scratch, gateway] = await Promise.all([mkdtemp(join(tmpdir(), "stagedoor-memory-")), startGateway({ runner: [bin("examples")] })]);
  await build({
    entryPoints: [at("../src/index.ts")], bundle: true, platform: "node", format: "esm", outfile: join(scratch, "client.mjs"), logLevel: "error",
    alias: { "#websocket": at("../src/socket/node.ts") },
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
});

afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
  await gateway?.stop();
});

/** grown is by how many bytes the heap has grown from the first tenth of the rounds on. */
async function grown(rounds: number, setup: string, round: string): Promise<number> {
  const file = join(scratch, `${rounds}.mjs`);
  await writeFile(
    file,
    `import { createClient } from "./client.mjs";
     const url = ${JSON.stringify(gateway.url)};
     const used = () => { gc(); gc(); const { heapUsed, arrayBuffers } = process.memoryUsage(); return heapUsed + arrayBuffers; };
     ${setup}
     let before;
     for (let i = 0; i < ${rounds}; i++) {
       if (i === ${rounds / 10}) before = used();
       ${round}
     }
     console.log(used() - before);
     process.exit();`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", file]);
  return Number(stdout);
}

test.each(["proto", "json"])("of connections that were disposed, in %s", async (encoding) => {
  const bytes = await grown(
    10_000,
    `const c = createClient(url, { encoding: "${encoding}" });
     const counter = c.getOrCreate("counter", ["memory"]);`,
    `const conn = counter.connect();
     const off = conn.on("count", () => {});
     conn.onStatusChange(() => {});
     if (i % 2) await conn.increment(1);
     else if (i % 4) off();
     await conn.dispose();`,
  );
  expect(bytes).toBeLessThan(1 << 20);
});

test("of clients that were disposed", async () => {
  const bytes = await grown(
    500,
    "",
    `const c = createClient(url);
     const conn = c.getOrCreate("counter", ["memory"]).connect();
     if (i % 2) await conn.increment(1);
     await c.dispose();`,
  );
  expect(bytes).toBeLessThan(1 << 20);
});

test("of calls that were given up while there is no gateway", async () => {
  const bytes = await grown(
    1000,
    `const c = createClient("http://127.0.0.1:1");
     const counter = c.getOrCreate("counter", ["memory"]);
     const conn = counter.connect();
     for (const one of [conn, counter]) one.increment(1); // they are before all others
     const args = ["x".repeat(10_000)];`,
    `const given = [conn, counter].map((one) => {
       const abort = new AbortController();
       const call = one.action({ name: "increment", args, signal: abort.signal }).catch(() => {});
       abort.abort();
       return call;
     });
     await Promise.all(given);`,
  );
  expect(bytes).toBeLessThan(1 << 20);
});
