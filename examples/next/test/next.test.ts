import { existsSync } from "node:fs";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { createClient } from "stagedoor/client";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { startGateway, type Gateway } from "../../../clients/js/test/gateway.ts";
import type { registry } from "../app/registry.ts";
import { build, start, type Server } from "./server.ts";

let scratch: string;
let gateway: Gateway;
let server: Server;

/** What `next build` said, and how often it asked for a gateway. */
let built: { output: string; connections: number };

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "stagedoor-next-"));
  built = await buildWatched();
  gateway = await startGateway();
  server = await start({ STAGEDOOR_ENDPOINT: gateway.url, STAGEDOOR_PUBLIC_ENDPOINT: gateway.url });
}, 240_000);
afterAll(async () => {
  await server?.stop();
  await gateway?.stop();
  await rm(scratch, { recursive: true, force: true });
});

/** Builds with a gateway that counts who comes, a binary that leaves a mark, and data in a place that is not there. */
async function buildWatched(): Promise<typeof built> {
  let connections = 0;
  const watch = createServer((socket) => {
    connections++;
    socket.destroy();
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => watch.once("listening", resolve));
  const address = `127.0.0.1:${(watch.address() as AddressInfo).port}`;
  const binary = join(scratch, "stagedoor");
  await writeFile(binary, `#!/bin/sh\ntouch "${join(scratch, "started")}"\n`);
  await chmod(binary, 0o755);
  const output = await build({
    STAGEDOOR_ENDPOINT: `http://${address}`,
    STAGEDOOR_LISTEN: address,
    STAGEDOOR_BIN: binary,
    STAGEDOOR_DATA: join(scratch, "data"),
    TMPDIR: scratch,
  });
  watch.close();
  return { output, connections };
}

test("next build starts neither runner nor gateway, and has nothing to complain of", async () => {
  expect(built.connections).toBe(0);
  for (const name of ["started", "data"]) expect([name, existsSync(join(scratch, name))]).toEqual([name, false]);
  expect((await readdir(scratch)).filter((name) => name.startsWith("stagedoor-dev-"))).toEqual([]);
  expect(built.output).not.toMatch(/warning|error/i);
  expect(built.output).toMatch(/ƒ \/api\/rivet\/\[\.\.\.all\]/);
});

test("next start answers metadata and runs calls", async () => {
  const base = `${server.url}/api/rivet`;
  const answer = await fetch(`${base}/metadata`);
  expect([answer.status, await answer.json()]).toMatchObject([200, { runtime: "stagedoor", actorNames: { counter: {} }, clientEndpoint: gateway.url }]);

  const client = createClient<typeof registry>(base);
  onTestFinished(() => client.dispose());
  const counter = client.counter.getOrCreate(["next"]);
  expect(await counter.increment(2)).toBe(2);
  expect(await counter.connect().increment(1)).toBe(3);

  const called = await fetch(`${base}/v1/actors/counter:next/actions/read`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  expect([called.status, await called.json()]).toEqual([200, { output: 3 }]);
});

test("its page counts, in two windows at once", async () => {
  const browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  onTestFinished(() => browser.close());
  const [one, two] = await Promise.all([browser.newPage(), browser.newPage()]);
  for (const page of [one, two]) {
    await page.goto(server.url);
    await page.waitForSelector("button:enabled:has-text('0')");
  }
  await one.click("button");
  await two.waitForSelector("button:has-text('1')");
  await two.click("button");
  await one.waitForSelector("button:has-text('2')");
});

test("SIGTERM hands the actors over before the process ends", async () => {
  const another = await start({ STAGEDOOR_ENDPOINT: gateway.url });
  expect((await fetch(`${another.url}/api/rivet/health`)).status).toBe(200);
  const runner = /runner=(\S+)/.exec(another.output())?.[1];
  expect(await another.stop()).toBe(0);
  const told = (): string[] => gateway.log.filter((line) => `${line} `.includes(` runner=${runner} `)).map((line) => /msg="([^"]*)"/.exec(line)?.[1] ?? line);
  await expect.poll(told).toEqual(["runner joined", "runner drains", "runner left"]);
});
