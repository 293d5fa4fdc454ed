import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import type { Metafile, Plugin } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { createClient as createFromSources } from "../src/index.ts";
import { bin, startGateway } from "./gateway.ts";
import type { Gateway } from "./gateway.ts";

const root = new URL("../", import.meta.url);
const at = (path: string) => fileURLToPath(new URL(path, root));
let scratch: string;
let gateway: Gateway;

beforeAll(async () => {
  scratch = await mkdtemp(at("../../node_modules/.stagedoor-client-")); // where ws is found, and nobody looks
  gateway = await startGateway({ runner: [bin("examples")] });
});

afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
  await gateway?.stop();
});

/** Sources instead of what is in dist: imports of the package take the condition that is asked for. */
function sources(condition: "node" | "default"): Plugin {
  return {
    name: "sources",
    setup(build) {
      build.onResolve({ filter: /^#websocket$/ }, async () => {
        const { imports } = JSON.parse(await readFile(at("package.json"), "utf8")) as { imports: Record<string, Record<string, string>> };
        return { path: at(imports["#websocket"]![condition]!.replace("/dist/", "/src/").replace(".js", ".ts")) };
      });
    },
  };
}

async function bundle(condition: "node" | "default"): Promise<{ text: string; metafile: Metafile }> {
  const browser = condition === "default";
  const { outputFiles, metafile } = await build({
    entryPoints: [at("src/index.ts")],
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
    target: "es2022",
    platform: browser ? "browser" : "node",
    external: browser ? [] : ["ws"],
    plugins: [sources(condition)],
  });
  return { text: outputFiles[0]!.text, metafile };
}

test("the browser's bundle is small, and has nothing of Node or protobuf in it", async () => {
  const { text, metafile } = await bundle("default");
  const size = gzipSync(text).length;
  console.log(`browser bundle: ${text.length} bytes, ${size} with gzip`);
  expect(size).toBeLessThan(33_000);
  const inputs = Object.keys(metafile.inputs).join("\n");
  expect(inputs).not.toMatch(/node_modules|socket\/node|gen\/stagedoor/);
  expect(text).not.toMatch(/node:|require\(/);
});

test("the browser's bundle talks to a gateway", async () => {
  const { text } = await bundle("default");
  const file = join(scratch, "browser.mjs");
  await writeFile(file, text);
  const { createClient } = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as { createClient: typeof createFromSources };
  const before = globalThis.WebSocket;
  globalThis.WebSocket = WebSocket as unknown as typeof globalThis.WebSocket; // which has the browser's interface, too
  try {
    for (const encoding of ["proto", "json"] as const) {
      const c = createClient({ endpoint: gateway.url, encoding });
      const conn = c.getOrCreate("counter", ["browser", encoding]).connect();
      const seen: unknown[] = [];
      conn.on("count", (n) => seen.push(n));
      expect(await conn.action({ name: "increment", args: [3] })).toBe(3);
      expect(seen).toStrictEqual([3]);
      await c.dispose();
    }
  } finally {
    globalThis.WebSocket = before;
  }
});

test("a script of Node ends by itself when nothing is under way, and not before", async () => {
  const { text } = await bundle("node");
  await writeFile(join(scratch, "client.mjs"), text);
  await writeFile(
    join(scratch, "script.mjs"),
    `import { createClient } from "./client.mjs";
     const counter = createClient(process.argv[2]).getOrCreate("counter", ["script"]);
     console.log(await counter.action({ name: "increment", args: [1] }));
     const conn = counter.connect();
     conn.on("count", async (n) => { console.log("event", n); await conn.dispose(); });
     setTimeout(() => counter.action({ name: "increment", args: [1] }).then(console.log), 20);`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, [join(scratch, "script.mjs"), gateway.url]);
  expect(stdout.trim().split("\n").sort()).toStrictEqual(["1", "2", "event 2"]);
});

test("a script of Node ends when its calls have failed, however long the pauses between attempts are", async () => {
  const { text } = await bundle("node");
  await writeFile(join(scratch, "client.mjs"), text);
  await writeFile(
    join(scratch, "failing.mjs"),
    `import { createClient } from "./client.mjs";
     const counter = createClient("http://127.0.0.1:1", { waitTimeoutMs: 100, backoffMinMs: 2 ** 31, backoffMaxMs: 2 ** 31 }).getOrCreate("counter");
     const call = () => counter.action({ name: "getCount" }).catch((error) => console.log(error.code));
     await call();
     await call();
     const conn = counter.connect();
     await conn.action({ name: "getCount" }).catch((error) => console.log(error.code));
     await conn.dispose();`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, [join(scratch, "failing.mjs")], { timeout: 20_000 });
  expect(stdout.trim().split("\n")).toStrictEqual(["unreachable", "unreachable", "unreachable"]);
});
