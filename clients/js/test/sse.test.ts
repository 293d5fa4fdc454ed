// Clients that have nothing but requests, against a real gateway [HTTP-10].
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { createClient } from "../src/index.ts";
import type { ClientOptions } from "../src/index.ts";
import { forgetFailures } from "../src/session/memory.ts";
import { readEvents } from "../src/socket/eventstream.ts";
import type { Examples } from "./actors.ts";
import { bin, startGateway } from "./gateway.ts";
import type { Gateway } from "./gateway.ts";
import { eventually, unique } from "./tools.ts";
import { startProxy } from "./upgrades.ts";
import type { Proxy } from "./upgrades.ts";

let gateway: Gateway;
let proxy: Proxy;

beforeAll(async () => {
  gateway = await startGateway({ args: ["--resume-wait", "2s"], runner: [bin("examples")] });
  proxy = await startProxy(gateway.port);
});
afterAll(async () => {
  await proxy?.stop();
  await gateway?.stop();
});
beforeEach(() => {
  forgetFailures();
  proxy.upgrades = false;
});

const client = (options: ClientOptions = {}) => createClient<Examples>({ endpoint: proxy.url, backoffMinMs: 1, backoffMaxMs: 5, ...options });

test.each(["proto", "json"] as const)("calls, connections and events, in %s", async (encoding) => {
  const c = client({ transport: "sse", encoding });
  const key = unique("sse");
  const conn = c.chat.getOrCreate(key).connect({ name: "ann" });
  const heard: unknown[] = [];
  conn.on("message", ({ text }) => heard.push(text));
  await eventually(async () => expect(await conn.members()).toStrictEqual(["ann"]));
  const bob = createClient<Examples>(gateway.url);
  await bob.chat.get(key).connect({ name: "bob" }).send("one");
  await eventually(() => expect(heard).toStrictEqual(["one"]));
  await bob.dispose();
  await expect(conn.send("two")).rejects.toMatchObject({ group: "user" }); // the actor knows no connection of the call
  expect([c.transport, conn.transport, conn.connStatus]).toStrictEqual(["sse", "sse", "connected"]);
  const counter = c.counter.getOrCreate(unique("sse"));
  expect(await counter.increment(3)).toBe(3);
  await expect(c.counter.get(unique("none")).getCount()).rejects.toMatchObject({ group: "actor", code: "not_found", ran: "no" });
  await expect(counter.action({ name: "nothing" })).rejects.toMatchObject({ group: "actor", code: "action_not_found" });
  const refused = c.counter.get(unique("none")).connect();
  const reason = new Promise((resolve) => refused.onClose(resolve));
  expect(await reason).toMatchObject({ group: "actor", code: "not_found" });
  await conn.dispose();
  await eventually(async () => expect(await c.chat.get(key).members()).toStrictEqual([])); // when nobody has come back
  await c.dispose();
});

test("a stream that ends is gone on with behind its last event", async () => {
  const c = client({ transport: "sse" });
  const counter = c.counter.getOrCreate(unique("cut"));
  const conn = counter.connect();
  const seen: number[] = [];
  let opened = 0;
  conn.on("count", (n) => seen.push(n));
  conn.onOpen(() => opened++);
  await conn.increment(1);
  for (let n = 2; n <= 30; n++) {
    if (n % 5 === 0) proxy.cut();
    await c.counter.getOrCreate(unique("other")).getCount().catch(() => {}); // the cut ends what is under way
    await eventually(async () => expect(await counter.getCount()).toBe(n - 1));
    await counter.increment(1);
  }
  await eventually(() => expect(seen).toStrictEqual(Array.from({ length: 30 }, (_, i) => i + 1)));
  expect(opened).toBe(1);
  await c.dispose();
});

test("more events than a connection was opened with open it anew, which is told", async () => {
  const c = client({ transport: "sse" });
  const key = unique("more");
  const conn = c.chat.getOrCreate(key).connect({ name: "ann" });
  let opened = 0;
  conn.onOpen(() => opened++);
  const heard: string[] = [];
  const errors: string[] = [];
  conn.onError(({ message }) => errors.push(message));
  conn.on("message", ({ text }) => heard.push(text));
  await conn.members();
  await eventually(() => expect(opened).toBe(1));
  const off = conn.on("left", (name) => heard.push(`left ${name}`));
  conn.on("joined", (name) => heard.push(`joined ${name}`));
  await eventually(() => expect(opened).toBe(2)); // both with one stream
  off();
  const bob = createClient<Examples>(gateway.url);
  const other = bob.chat.getOrCreate(key).connect({ name: "bob" });
  await other.send("two");
  await eventually(() => expect(heard.slice(-2)).toStrictEqual(["joined bob", "two"]));
  await other.dispose();
  await bob.dispose();
  expect(errors).toStrictEqual([]);
  await c.dispose();
});

test("of events that are asked for together, the one that the actor does not have is refused alone [CONN-9]", async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url as string, "http://x");
    const events = url.searchParams.getAll("event");
    if (url.pathname.endsWith("/events")) asked.push(events.join());
    if (!url.pathname.endsWith("/events")) response.end("{}");
    else if (events.includes("no")) response.writeHead(404, { "content-type": "application/json" }).end('{"error":{"group":"event","code":"not_found","message":"no","ran":"no"}}');
    else response.writeHead(200, { "content-type": "text/event-stream" }).write('event: stagedoor:opened\ndata: {"actorId":"a","connectionId":"c","resumed":false}\nid: t.1\n\n');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const c = createClient({ endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, transport: "sse" });
  const conn = c.get("any").connect();
  const opened = new Promise<void>((resolve) => conn.onOpen(resolve));
  const errors: string[] = [];
  conn.onError(({ message }) => errors.push(message));
  conn.on("a", () => {});
  await opened;
  for (const event of ["b", "no", "c"]) conn.on(event, () => {});
  await eventually(() => expect(asked.at(-1)).toBe("a,b,c"));
  expect(asked).toStrictEqual(["a", "a,b,no,c", "a,b", "a,b,no,c", "a,b,no", "a,b", "a,b,c"]);
  expect(errors).toStrictEqual(["Event no: no"]);
  await c.dispose();
  server.closeAllConnections();
  server.close();
});

test("a call that is given up is ended, one without gateway fails", async () => {
  const c = client({ transport: "sse" });
  const conn = c.counter.getOrCreate(unique("abort")).connect();
  await conn.getCount();
  const abort = new AbortController();
  const call = conn.action({ name: "getCount", signal: abort.signal });
  abort.abort();
  await expect(call).rejects.toMatchObject({ group: "action", code: "canceled" });
  await c.dispose();
  const lost = createClient<Examples>({ endpoint: "http://127.0.0.1:1", transport: "sse", waitTimeoutMs: 50, backoffMinMs: 1, backoffMaxMs: 5 });
  await expect(lost.counter.get().getCount()).rejects.toMatchObject({ group: "client", code: "unreachable", ran: "no" });
  await lost.dispose();
});

test("requests are taken where no WebSocket opens, and a WebSocket when one does again", async () => {
  const c = client();
  const conn = c.counter.getOrCreate(unique("auto")).connect();
  const transports: string[] = [];
  conn.onTransportChange((transport) => transports.push(transport));
  const before = proxy.refused;
  expect(await conn.increment(1)).toBe(1);
  expect(c.transport).toBe("sse");
  expect(proxy.refused - before).toBeGreaterThan(3);
  const tried = proxy.refused;
  const d = client();
  await d.counter.getOrCreate(unique("auto")).getCount(); // what failed is known
  expect([d.transport, proxy.refused]).toStrictEqual(["sse", tried]);
  await d.dispose();

  proxy.upgrades = true;
  vi.spyOn(performance, "now").mockImplementation(() => Number.MAX_SAFE_INTEGER / 2); // the time after which it is tried again has come
  const e = client();
  await e.counter.getOrCreate(unique("auto")).getCount();
  expect(e.transport).toBe("websocket");
  vi.restoreAllMocks();
  await e.dispose();
  await c.dispose();
});

test("a gateway that is not there is no reason for requests", async () => {
  const c = createClient<Examples>({ endpoint: "http://127.0.0.1:1", waitTimeoutMs: 100, backoffMinMs: 1, backoffMaxMs: 5 });
  await expect(c.counter.get().getCount()).rejects.toMatchObject({ group: "client", code: "unreachable" });
  expect(c.transport).toBe(undefined);
  await c.dispose();
});

test("event streams are read as the standard has it, in pieces of any size", async () => {
  const text = "\n: comment\nevent: a\ndata: 1\ndata:2\nid: x\n\ndata\n\nid: y\r\nevent:b\rdata:  é\r\n\r\nevent: no data\n\ndata: cut";
  const bytes = new TextEncoder().encode(text);
  const expected = [
    { event: "a", data: "1\n2", id: "x" },
    { event: "message", data: "", id: "x" },
    { event: "b", data: " é", id: "y" },
  ];
  for (const size of [1, 2, 3, 5, 1000]) {
    const pieces = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    const events = [];
    for await (const event of readEvents(pieces, () => {})) events.push(event);
    expect(events).toStrictEqual(expected);
  }
});
