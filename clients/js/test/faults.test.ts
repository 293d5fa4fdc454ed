import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { createClient } from "../src/index.ts";
import type { ActorError } from "../src/index.ts";
import type { Examples } from "./actors.ts";
import { startCutter } from "./cutter.ts";
import { bin, startGateway } from "./gateway.ts";
import { eventually, unique } from "./tools.ts";

/** freePort is one that nobody listens on, for now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const quick = { backoffMinMs: 1, backoffMaxMs: 20 };

describe("a gateway that is not there", () => {
  test("calls fail with client.unreachable after the stated time", async () => {
    const c = createClient<Examples>(`http://127.0.0.1:${await freePort()}`, { ...quick, waitTimeoutMs: 200 });
    const counter = c.counter.getOrCreate("a");
    const expected = { group: "client", code: "unreachable", ran: "no", retryable: true };
    const errors = await Promise.all([counter.getCount(), counter.connect().getCount()].map((call) => call.catch((error: unknown) => error)));
    for (const error of errors) {
      expect(error).toMatchObject(expected);
      expect((error as ActorError).message).toContain("ECONNREFUSED");
    }
    await expect(c.counter.create("a")).rejects.toMatchObject(expected);
    await expect(counter.resolve()).rejects.toMatchObject(expected);
    await expect(counter.action({ name: "getCount", timeoutMs: 50 })).rejects.toMatchObject(expected);
    await c.dispose();
  });

  test("one that comes later gets the calls that waited", async () => {
    const port = await freePort();
    const c = createClient<Examples>(`http://127.0.0.1:${port}`, quick);
    const conn = c.counter.getOrCreate(unique("later")).connect();
    const results = [conn.increment(1), conn.increment(1), c.counter.getOrCreate(unique("later")).increment(5)];
    const gateway = await startGateway({ port, runner: [bin("examples")] });
    expect(await Promise.all(results)).toStrictEqual([1, 2, 5]);
    await c.dispose();
    await gateway.stop();
  });

  test("one that takes the socket and says nothing", async () => {
    const silent = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const c = createClient<Examples>(`http://127.0.0.1:${port}`, { ...quick, connectTimeoutMs: 50, waitTimeoutMs: 200 });
    await expect(c.counter.getOrCreate("a").getCount()).rejects.toMatchObject({ group: "client", code: "unreachable" });
    await c.dispose();
    silent.close();
  });

  test("one that talks nonsense", async () => {
    const mad = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    mad.on("connection", (socket) => socket.send(Buffer.from("00000001ff", "hex")));
    await once(mad, "listening");
    const { port } = mad.address() as AddressInfo;
    const c = createClient<Examples>(`http://127.0.0.1:${port}`, { ...quick, waitTimeoutMs: 100 });
    await expect(c.counter.getOrCreate("a").getCount()).rejects.toMatchObject({ group: "client", code: "unreachable" });
    await c.dispose();
    mad.close();
  });

  test("a client that is disposed meanwhile", async () => {
    const c = createClient<Examples>(`http://127.0.0.1:${await freePort()}`, { backoffMinMs: 60_000 });
    const conn = c.counter.getOrCreate("a").connect();
    const reason = new Promise((resolve) => conn.onClose(resolve));
    const waiting = conn.getCount().catch((error: unknown) => error);
    await c.dispose();
    expect(await waiting).toMatchObject({ group: "client", code: "closed", ran: "no" });
    expect(await reason).toMatchObject({ group: "client", code: "closed" });
  });

  test("what waits is bounded", async () => {
    const c = createClient<Examples>(`http://127.0.0.1:${await freePort()}`, { maxQueuedBytes: 10_000 });
    const counter = c.counter.getOrCreate("a");
    const conn = counter.connect();
    const calls = Array.from({ length: 50 }, (_, i) => (i % 2 ? counter : conn).action({ name: "x", args: ["y".repeat(100)] }));
    const refused = Promise.allSettled(calls).then((all) => all.map((one) => (one as PromiseRejectedResult).reason as ActorError));
    await c.dispose();
    const codes = (await refused).map(({ code }) => code);
    expect(codes.filter((code) => code === "too_many_calls")).toHaveLength(50 - 27); // 256 + 107 bytes each
    expect(codes.filter((code) => code === "closed")).toHaveLength(27);
  });
});

test.each(["proto", "json"] as const)("a gateway that is started again, in %s", async (encoding) => {
  const data = await mkdtemp(join(tmpdir(), "stagedoor-js-"));
  const first = await startGateway({ data, runner: [bin("examples")] });
  const c = createClient<Examples>({ endpoint: first.url, encoding, ...quick });
  const conn = c.counter.getOrCreate(unique("restart")).connect();
  const events: number[] = [];
  let opened = 0;
  conn.on("count", (n) => events.push(n));
  conn.onOpen(() => opened++);
  let asked = 0;
  const getParams = () => Promise.resolve({ name: `opening ${++asked}` });
  const room = c.chat.getOrCreate(unique("restart"), { getParams }).connect();
  expect(await room.members()).toStrictEqual(["opening 1"]);
  await conn.increment(1);
  const down = new Promise<void>((resolve) => conn.onStatusChange((status) => status === "disconnected" && resolve()));
  await first.stop();
  await down;
  const second = await startGateway({ data, port: first.port, runner: [bin("examples")] });
  expect(await conn.increment(1)).toBe(2);
  expect(await room.members()).toContain("opening 2"); // and the first one until its session is known to be over
  expect(events).toStrictEqual([1, 2]);
  expect(opened).toBe(2);
  await c.dispose();
  await second.stop();
  await rm(data, { recursive: true, force: true });
});

test.each(["proto", "json"] as const)("a wrong token is refused, and is not tried for ever, in %s", async (encoding) => {
  const gateway = await startGateway({ args: ["--client-token", "right", "--runner-token", "runner"], runner: [bin("examples")] });
  const relay = await startCutter(gateway.port);
  const wrong = createClient<Examples>(relay.url, { token: "wrong", encoding, ...quick });
  const counter = wrong.counter.getOrCreate(unique("token"));
  const conn = counter.connect();
  const reason = new Promise((resolve) => conn.onClose(resolve));
  const expected = { group: "auth", code: "unauthenticated", ran: "no", retryable: false };
  await expect(conn.getCount()).rejects.toMatchObject(expected);
  expect(await reason).toMatchObject(expected);
  expect(relay.made).toBe(1);
  await expect(counter.getCount()).rejects.toMatchObject(expected); // a new use tries again
  expect(relay.made).toBe(2);
  await expect(counter.resolve()).rejects.toMatchObject(expected);
  await expect(wrong.counter.create("x")).rejects.toMatchObject(expected);
  await wrong.dispose();

  const right = createClient<Examples>(relay.url.replace("//", "//team-1:right@"), { encoding });
  const key = unique("token");
  expect(await right.counter.getOrCreate(key).increment(1)).toBe(1);
  expect(await right.counter.get(key).resolve()).toMatch(/^local-/);
  const elsewhere = createClient<Examples>(relay.url, { token: "right", encoding });
  await expect(elsewhere.counter.get(key).getCount()).rejects.toMatchObject({ code: "not_found" }); // another namespace
  await right.dispose();
  await elsewhere.dispose();
  await relay.stop();
  await gateway.stop();
});

test("a token is neither logged nor told, whatever goes wrong", async () => {
  const gateway = await startGateway({ args: ["--client-token", "right", "--runner-token", "runner"], runner: [bin("examples")] });
  const told: unknown[] = [];
  const log = (...line: unknown[]) => void told.push(line);
  const down = `127.0.0.1:${await freePort()}`;
  for (const endpoint of [`http://ns:s3cret@${down}`, `http://ns:s3cret@${down}/api/rivet`, `http://ns:s3cret@127.0.0.1:${gateway.port}`, `http://ns:s3cret@127.0.0.1:${gateway.port}/healthz`]) {
    const c = createClient<Examples>(endpoint, { ...quick, waitTimeoutMs: 50, log });
    const counter = c.counter.getOrCreate("a", { getParams: () => Promise.reject(new Error("no params")) });
    const conn = counter.connect();
    conn.onError((error) => told.push(error));
    for (const use of [() => counter.getCount(), () => counter.resolve(), () => c.counter.create("b"), () => conn.getCount()]) await use().catch((error: unknown) => told.push(error));
    told.push(c, counter, conn);
    await c.dispose();
  }
  expect(told.length).toBeGreaterThan(20);
  for (const one of told) {
    const chain = [];
    for (let at: unknown = one; at instanceof Error; at = at.cause) chain.push(String(at), at.stack);
    expect(inspect([one, chain], { depth: 12, showHidden: true })).not.toContain("s3cret");
  }
  await gateway.stop();
});

test("a runner that dies and comes back is not seen on the connection", async () => {
  const gateway = await startGateway();
  const { spawn } = await import("node:child_process");
  const start = () => spawn(bin("examples"), { env: { ...process.env, STAGEDOOR_ENDPOINT: gateway.url }, stdio: "ignore" });
  let runner = start();
  const c = createClient<Examples>(gateway.url, quick);
  const counter = c.counter.getOrCreate(unique("runner"));
  await eventually(async () => expect(await counter.getCount()).toBe(0)); // until its type is known
  const conn = counter.connect();
  const statuses: string[] = [];
  conn.onStatusChange((status) => statuses.push(status));
  expect(await conn.increment(1)).toBe(1);
  runner.kill("SIGKILL");
  await once(runner, "exit");
  runner = start();
  await eventually(async () => expect(await conn.getCount()).toBe(1));
  expect(await conn.increment(1)).toBe(2);
  expect(statuses).toStrictEqual(["connected"]);
  await c.dispose();
  runner.kill("SIGTERM");
  await once(runner, "exit");
  await gateway.stop();
});

test("many connections share one socket", async () => {
  const gateway = await startGateway({ runner: [bin("examples")] });
  const relay = await startCutter(gateway.port);
  const c = createClient<Examples>(relay.url);
  const key = unique("many");
  const conns = Array.from({ length: 200 }, (_, i) => c.chat.getOrCreate(key).connect({ name: `n${i}` }));
  const heard = conns.map((conn) => new Promise((resolve) => conn.once("message", resolve)));
  await Promise.all(conns.map((conn) => conn.members()));
  await conns[0]!.send("hello");
  expect(await Promise.all(heard)).toStrictEqual(conns.map(() => ({ from: "n0", text: "hello" })));
  expect(relay.made).toBe(1);
  await c.dispose();
  await relay.stop();
  await gateway.stop();
});
