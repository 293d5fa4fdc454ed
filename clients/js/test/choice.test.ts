// Which transport a client takes, with clocks that the test moves, WebTransport in its hands, and real WebSockets.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createClient } from "../src/index.ts";
import type { ClientOptions } from "../src/index.ts";
import { forgetFailures } from "../src/session/memory.ts";
import { encode } from "../src/values/index.ts";
import type { Draft } from "../src/wire/messages.ts";
import type { Examples } from "./actors.ts";
import { startPeers } from "./peer.ts";
import type { Peer, Peers } from "./peer.ts";
import { startWebTransport } from "./webtransport.ts";
import type { Stream, WtPeer, WtPeers } from "./webtransport.ts";

const hash = new Uint8Array(32).fill(7);
let sockets: Peers;
let sessions: WtPeers;
let hashes: string[] | undefined;

beforeEach(async () => {
  forgetFailures();
  sockets = await startPeers();
  sessions = startWebTransport();
  hashes = [Buffer.from(hash).toString("base64")];
  vi.stubGlobal("fetch", async () => Response.json(hashes === undefined ? {} : { certificateHashes: hashes }));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  sessions.stop();
  sockets.stop();
});

const client = (options: ClientOptions = {}) => createClient<Examples>({ endpoint: sockets.url, ...options });

/** until waits for the network, while no clock moves. */
async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setImmediate(resolve));
}

/** pass moves the clocks, and lets happen what they bring about. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  for (let n = 0; n < 50; n++) await new Promise((resolve) => setImmediate(resolve));
}

/** quiet is a promise whose rejection somebody waits for, later. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** end disposes of clients, while clocks move. */
async function end(...clients: { dispose(): Promise<void> }[]): Promise<void> {
  let over = false;
  const all = Promise.all(clients.map((one) => one.dispose())).then(() => {
    over = true;
  });
  while (!over) await pass(20);
  await all;
}

const token = (n: number) => new Uint8Array([n]);
const welcome = (n: number, more: object = {}): Draft => ({ kind: "welcome", session: "s", features: ["resume"], resumeToken: token(n), pingMs: 1e6, ...more });

async function beginSession(answer = welcome(1)): Promise<{ readonly peer: WtPeer; readonly first: Stream }> {
  const peer = await sessions.accept();
  const first = await peer.accept();
  await first.next("hello");
  first.send(answer);
  await first.next("ack");
  return { peer, first };
}

async function beginSocket(answer = welcome(1)): Promise<Peer> {
  const peer = await sockets.accept();
  await peer.next("hello");
  peer.send(answer);
  await peer.next("ack");
  return peer;
}

/** answered has the calls that come answered with a number, until one is. */
async function answer(from: Peer | Stream, value: number): Promise<void> {
  const { id, connection } = await from.next("call");
  from.send({ kind: "callResult", id, connection, output: encode(value) });
}

test("WebTransport is taken where it opens, with the certificate of a gateway in development", async () => {
  const c = client();
  const result = c.counter.get().getCount();
  const { peer, first } = await beginSession();
  expect(peer.url).toBe(`${sockets.url.replace("http:", "https:")}/v1/connect`);
  expect(peer.options.serverCertificateHashes).toStrictEqual([{ algorithm: "sha-256", value: hash }]);
  await answer(first, 1);
  expect(await result).toBe(1);
  await pass(1000);
  expect([c.transport, sockets.made]).toStrictEqual(["webtransport", 0]);
  await end(c);
});

test("over TLS it is tried without hashes first, then with those that the gateway names", async () => {
  sessions.way = "refused";
  const c = client({ endpoint: sockets.url.replace("http:", "https:"), transport: "webtransport" });
  const result = quiet(c.counter.get().getCount());
  expect((await sessions.accept()).options.serverCertificateHashes).toBe(undefined);
  sessions.way = "open";
  const { peer, first } = await beginSession();
  expect(peer.options.serverCertificateHashes).toHaveLength(1);
  await answer(first, 1);
  expect(await result).toBe(1);
  await end(c);
});

test("where UDP is blocked a WebSocket is taken in half a second, and what failed is remembered by all clients", async () => {
  sessions.way = "blocked";
  const c = client();
  const result = c.counter.get().getCount();
  await until(() => sessions.made === 1);
  await pass(299);
  expect(sockets.made).toBe(0);
  await pass(1);
  await until(() => sockets.made === 1);
  await pass(200);
  const peer = await beginSocket();
  await answer(peer, 1);
  expect(await result).toBe(1);
  expect(c.transport).toBe("websocket");

  const d = client();
  const other = d.counter.get().getCount();
  const second = await beginSocket(); // no clock has moved
  await answer(second, 2);
  expect(await other).toBe(2);
  expect(sessions.made).toBe(1);
  await end(c, d);
});

test("where it is refused a WebSocket is taken at once", async () => {
  sessions.way = "refused";
  const c = client();
  const result = c.counter.get().getCount();
  await answer(await beginSocket(), 1);
  expect(await result).toBe(1);
  await end(c);
});

test.each([["no certificate", []], ["nothing of certificates", undefined]])("a gateway without TLS whose metadata name %s has no WebTransport", async (_, list) => {
  hashes = list;
  const c = client();
  const result = c.counter.get().getCount();
  await answer(await beginSocket(), 1);
  expect([await result, sessions.made]).toStrictEqual([1, 0]);
  await end(c);
});

test("a WebSocket that is open waits a moment for WebTransport", async () => {
  sessions.way = "blocked";
  const c = client();
  const result = c.counter.get().getCount();
  const peer = await sessions.accept();
  await pass(300);
  const loser = await sockets.accept();
  await pass(100);
  peer.fake.setReady();
  const first = await peer.accept();
  await first.next("hello");
  first.send(welcome(1));
  await first.next("ack");
  await answer(first, 1);
  expect(await result).toBe(1);
  expect(c.transport).toBe("webtransport");
  await loser.gone;
  await end(c);
});

test("WebTransport that comes later still is gone on with, and nobody notices", async () => {
  sessions.way = "blocked";
  const c = client();
  const conn = c.counter.get().connect();
  const statuses: string[] = [];
  const transports: string[] = [];
  conn.onStatusChange((status) => statuses.push(status));
  conn.onTransportChange((transport) => transports.push(transport));
  const result = quiet(conn.getCount());
  const peer = await sessions.accept();
  await pass(500);
  const socket = await beginSocket();
  const { connection } = await socket.next("connectionOpen");
  socket.send({ kind: "connectionOpened", connection, actorId: "a", connectionId: "c" });
  const call = await socket.next("call");
  peer.fake.setReady();
  await socket.gone;
  const first = await peer.accept();
  const hello = await first.next("hello");
  expect(hello.resume).toMatchObject({ token: token(1), received: [{ connection: 0, frames: 0 }, { connection, frames: 1 }] });
  first.send(welcome(2, { resumed: true, received: [{ connection: 0, frames: 0 }, { connection, frames: 2 }] }));
  const stream = await peer.accept();
  await stream.next("connectionResume");
  stream.send({ kind: "connectionResumed", connection, frames: 2 }, { kind: "callResult", id: call.id, connection, output: encode(6) });
  expect(await result).toBe(6);
  expect(transports).toStrictEqual(["websocket", "webtransport"]);
  expect(statuses).toStrictEqual(["connected"]);
  await end(c);
});

test("what failed is tried again after 30 s, then half as often each time; then the session goes up", async () => {
  sessions.way = "blocked";
  const c = client();
  const conn = c.counter.get().connect();
  const result = quiet(conn.getCount());
  await until(() => sessions.made === 1);
  await pass(500);
  const socket = await beginSocket();
  const { connection } = await socket.next("connectionOpen");
  socket.send({ kind: "connectionOpened", connection, actorId: "a", connectionId: "c" });
  await socket.next("call");
  await pass(9_500); // until the first attempt is over
  sessions.way = "refused";
  await pass(20_000 - 1);
  expect(sessions.made).toBe(1);
  await pass(501);
  expect(sessions.made).toBe(2);
  await pass(59_000);
  expect(sessions.made).toBe(2);
  sessions.way = "open";
  await pass(2_000);
  expect(sessions.made).toBe(3);
  await sessions.accept();
  await sessions.accept();
  const peer = await sessions.accept();
  const first = await peer.accept();
  await first.next("hello");
  first.send(welcome(2, { resumed: true, received: [{ connection: 0, frames: 0 }, { connection, frames: 2 }] }));
  const stream = await peer.accept();
  await stream.next("connectionResume");
  expect(conn.connStatus).toBe("connected");
  await until(() => conn.transport === "webtransport");
  await end(c);
  await expect(result).rejects.toMatchObject({ code: "closed" });
});

test("the first Ping of a silence is a datagram, the next goes on channel 0, then the way is given up [SESS-5] [SESS-21]", async () => {
  const c = client({ transport: "webtransport" });
  const conn = c.counter.get().connect();
  const { peer, first } = await beginSession(welcome(1, { pingMs: 1000 }));
  const stream = await peer.accept();
  const { connection } = await stream.next("connectionOpen");
  stream.send({ kind: "connectionOpened", connection, actorId: "a", connectionId: "c" });
  await until(() => conn.connStatus === "connected");
  await pass(1000);
  expect(await peer.datagrams.shift()).toMatchObject({ kind: "ping", nonce: 1n });
  await pass(1000);
  expect(await first.next("ping")).toMatchObject({ nonce: 2n });
  await pass(1000);
  await pass(1); // it comes back at once
  const again = await (await sessions.accept()).accept();
  expect((await again.next("hello")).resume?.token).toStrictEqual(token(1));
  expect(conn.connStatus).toBe("disconnected");
  await pass(1000);
  await peer.gone;
  await end(c);
});

test("a way that is blocked in the middle of a session is noticed when something was written, and left for a WebSocket", async () => {
  const c = client({ backoffMinMs: 1e6, backoffMaxMs: 1e6 }); // no pause comes between
  const conn = c.counter.get().connect();
  const statuses: string[] = [];
  conn.onStatusChange((status) => statuses.push(status));
  const result = quiet(conn.getCount());
  const { peer, first } = await beginSession();
  const stream = await peer.accept();
  const { connection } = await stream.next("connectionOpen");
  stream.send({ kind: "connectionOpened", connection, actorId: "a", connectionId: "c" });
  const call = await stream.next("call");
  await pass(299);
  expect(first.waiting).toBe(0);
  await pass(1);
  expect(await first.next("ping")).toMatchObject({ nonce: 1n });
  await pass(499);
  expect(sockets.made).toBe(0);
  await pass(1);
  const socket = await sockets.accept();
  const hello = await socket.next("hello"); // with no clock moved
  expect(hello.resume?.received).toStrictEqual([{ connection: 0, frames: 0 }, { connection, frames: 1 }]);
  socket.send(welcome(2, { resumed: true, received: [{ connection: 0, frames: 0 }, { connection, frames: 1 }] }));
  expect(await socket.next("call")).toStrictEqual(call);
  await socket.next("ack");
  socket.send({ kind: "callResult", id: call.id, connection, output: encode(1) });
  expect(await result).toBe(1);
  expect([c.transport, sessions.made, statuses]).toStrictEqual(["websocket", 1, ["connected"]]); // and it is not tried now
  await end(c);
});

test("a gateway that is slow to answer is not taken for a way that is blocked", async () => {
  const c = client();
  const result = quiet(c.counter.get().getCount());
  const peer = await sessions.accept();
  const first = await peer.accept();
  await first.next("hello");
  await pass(250);
  first.send(welcome(1)); // a round trip of 250 ms
  await first.next("ack");
  const call = await first.next("call");
  await pass(500);
  const { nonce } = await first.next("ping");
  await pass(999); // of four round trips
  first.send({ kind: "pong", nonce });
  await pass(10_000);
  expect([first.waiting, sockets.made]).toStrictEqual([0, 0]); // nothing was written since
  first.send({ kind: "callResult", id: call.id, output: encode(1) });
  expect(await result).toBe(1);
  await end(c);
});

test("a way that was held up is not left when it moves again before a WebSocket is open", async () => {
  const c = client();
  const result = quiet(c.counter.get().getCount());
  const { first } = await beginSession();
  const call = await first.next("call");
  await pass(300);
  const { nonce } = await first.next("ping");
  await vi.advanceTimersByTimeAsync(500);
  first.send({ kind: "pong", nonce });
  const socket = await sockets.accept();
  await socket.gone;
  first.send({ kind: "callResult", id: call.id, output: encode(1) });
  expect(await result).toBe(1);
  expect(c.transport).toBe("webtransport");
  await end(c);
});

test("a way that is blocked together with all others is over", async () => {
  const c = client({ backoffMinMs: 1e6, backoffMaxMs: 1e6 });
  const conn = c.counter.get().connect();
  const { peer, first } = await beginSession();
  const stream = await peer.accept();
  const { connection } = await stream.next("connectionOpen");
  stream.send({ kind: "connectionOpened", connection, actorId: "a", connectionId: "c" });
  const result = quiet(conn.getCount());
  await stream.next("call");
  sockets.stop();
  sessions.way = "refused";
  await pass(300);
  await first.next("ping");
  await pass(500);
  await until(() => conn.connStatus === "disconnected");
  await peer.gone;
  await end(c);
  await expect(result).rejects.toMatchObject({ code: "closed" });
});

test("a session that cannot be resumed stays where it is", async () => {
  sessions.way = "refused";
  const c = client();
  const result = c.counter.get().getCount();
  const socket = await sockets.accept();
  await socket.next("hello");
  socket.send({ kind: "welcome", session: "s", pingMs: 1e6 });
  await answer(socket, 1);
  expect(await result).toBe(1);
  const { made } = sessions;
  sessions.way = "open";
  await pass(700_000);
  expect([sessions.made, c.transport]).toStrictEqual([made, "websocket"]);
  await end(c);
});

test("a gateway that rejects the client does so by every transport alike", async () => {
  const c = client();
  const result = quiet(c.counter.get().getCount());
  const peer = await sessions.accept();
  const first = await peer.accept();
  await first.next("hello");
  const error = { group: "auth", code: "unauthenticated", message: "", metadata: undefined, retryable: false, ran: "no", retryAfterMs: 0 } as const;
  first.send({ kind: "reject", error });
  first.end();
  await expect(result).rejects.toMatchObject({ group: "auth", code: "unauthenticated" });
  void quiet(c.counter.get().getCount());
  await (await sessions.accept()).accept(); // it has not failed
  await end(c);
});

test("a transport by its name is the only one, and JSON has no WebTransport", async () => {
  sessions.way = "refused";
  const c = client({ transport: "webtransport", waitTimeoutMs: 1000, backoffMinMs: 100, backoffMaxMs: 100 });
  const lost = quiet(c.counter.get().getCount());
  await until(() => sessions.made === 1);
  await pass(2000);
  await expect(lost).rejects.toMatchObject({ group: "client", code: "unreachable" });
  expect(sockets.made).toBe(0);
  await end(c);

  sessions.way = "open";
  const before = sessions.made;
  for (const options of [{ transport: "websocket" }, { encoding: "json" }] as const) {
    const d = client(options);
    void quiet(d.counter.get().getCount());
    await until(() => sockets.made > 0);
    await end(d);
  }
  expect(sessions.made).toBe(before);
  expect(() => client({ transport: "webtransport", encoding: "json" })).toThrow('only the encoding "proto"');
  expect(() => client({ transport: "webtransports" as "webtransport" })).toThrow('did you mean "webtransport"?');
  expect(() => client({ transport: 7 as unknown as "auto" })).toThrow('"auto", "webtransport", "websocket" or "sse".');
});

test("a client that is disposed of while it looks for a way leaves nothing open", async () => {
  sessions.way = "blocked";
  const c = client();
  const result = quiet(c.counter.get().getCount());
  const peer = await sessions.accept();
  await pass(300);
  const socket = await sockets.accept();
  await end(c);
  await expect(result).rejects.toMatchObject({ group: "client", code: "closed" });
  await Promise.all([peer.gone, socket.gone]);
});
