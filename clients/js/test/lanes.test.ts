// WebTransport, with the gateway's end in the hands of the test [SESS-19] to [SESS-22].
import { afterEach, beforeEach, expect, test } from "vitest";
import { createClient } from "../src/index.ts";
import type { ClientOptions } from "../src/index.ts";
import { encode } from "../src/values/index.ts";
import type { Draft } from "../src/wire/messages.ts";
import type { Examples } from "./actors.ts";
import { eventually } from "./tools.ts";
import { startWebTransport } from "./webtransport.ts";
import type { Stream, WtPeer, WtPeers } from "./webtransport.ts";

let peers: WtPeers;
beforeEach(() => {
  peers = startWebTransport();
});
afterEach(() => peers.stop());

const client = (options: ClientOptions = {}) =>
  createClient<Examples>({ endpoint: "https://gateway.example", transport: "webtransport", backoffMinMs: 1, backoffMaxMs: 1, ...options });

/** quiet is a promise whose rejection somebody waits for, later. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

const token = (n: number) => new Uint8Array([n]);
const welcome = (n: number, more: object = {}): Draft => ({ kind: "welcome", session: "s", features: ["resume", "unreliable"], resumeToken: token(n), pingMs: 60_000, ...more });
const zero = { connection: 0, frames: 0 };

interface Begun {
  readonly peer: WtPeer;
  /** Channel 0. */
  readonly first: Stream;
}

async function begin(answer: Draft = welcome(1)): Promise<Begun> {
  const peer = await peers.accept();
  const first = await peer.accept();
  await first.next("hello");
  first.send(answer);
  if ((answer as { resumeToken?: unknown }).resumeToken) await first.next("ack");
  return { peer, first };
}

/** open takes the stream of a connection, and answers its open. */
async function open(peer: WtPeer): Promise<{ readonly stream: Stream; readonly connection: number }> {
  const stream = await peer.accept();
  const { connection } = await stream.next("connectionOpen");
  stream.send({ kind: "connectionOpened", connection, actorId: "a", connectionId: "c" });
  return { stream, connection };
}

const event = (connection: number, n: number): Draft => ({ kind: "event", connection, event: "count", args: encode([n]) });

test("channel 0 begins with Hello, each connection has a stream of its own, and all end politely [SESS-19] [SESS-20]", async () => {
  const c = client();
  expect(c.transport).toBe(undefined);
  const [a, b] = [c.counter.get("a").connect(), c.counter.get("b").connect()];
  const transports: string[] = [];
  a.onTransportChange((transport) => transports.push(transport));
  const results = [a.getCount(), b.getCount(), c.counter.get("c").getCount()];
  const { peer, first } = await begin();
  expect(peer.url).toBe("https://gateway.example/v1/connect");
  expect(peer.options).toStrictEqual({ protocols: ["stagedoor.v1.proto"] });
  const opened = [await open(peer), await open(peer)];
  for (const [i, { stream, connection }] of opened.entries()) {
    const call = await stream.next("call");
    expect(call).toMatchObject({ connection, action: "getCount" });
    stream.send({ kind: "callResult", id: call.id, connection, output: encode(i) });
  }
  const call = await first.next("call");
  first.send({ kind: "callResult", id: call.id, output: encode(2) });
  expect(await Promise.all(results)).toStrictEqual([0, 1, 2]);
  expect([c.transport, a.transport, transports]).toStrictEqual(["webtransport", "webtransport", ["webtransport"]]);

  const [{ stream, connection }] = opened as [(typeof opened)[0]];
  await a.dispose();
  expect(await stream.next("connectionClose")).toMatchObject({ connection });
  stream.send({ kind: "connectionClosed", connection });
  stream.end();
  expect(await stream.ended).toBe(undefined); // ended, not reset
  expect(await first.next("ack")).toMatchObject({ received: expect.arrayContaining([{ connection, frames: 3 }]) });
  await c.dispose();
  expect(await first.next("goodbye")).toMatchObject({ code: "connection.closed" });
  expect(await first.ended).toBe(undefined);
  await peer.gone;
});

test("frames come in pieces of any size", async () => {
  const c = client();
  const conn = c.counter.get().connect();
  const seen: unknown[] = [];
  conn.on("count", (n) => seen.push(n));
  const { peer } = await begin();
  const { stream, connection } = await open(peer);
  for (const pieces of [1, 2, 3, 5, 7, 1000]) {
    stream.pieces = pieces;
    stream.send(event(connection, 1), event(connection, 2), { kind: "event", connection, event: "count", args: encode(["x".repeat(300)]) });
  }
  await eventually(() => expect(seen).toStrictEqual(Array.from({ length: 6 }, () => [1, 2, "x".repeat(300)]).flat()));
  await c.dispose();
});

test("a frame over the limit costs the session before it is there", async () => {
  const c = client({ maxMessageBytes: 1000 });
  const result = quiet(c.counter.get().getCount());
  const { first } = await begin();
  await first.next("call");
  first.sendBytes(new Uint8Array([0, 0, 4, 0])); // 1,024 bytes, of which none comes
  expect(await first.next("goodbye")).toMatchObject({ code: "request.invalid_frame" });
  await expect(result).rejects.toMatchObject({ group: "session", code: "lost", ran: "maybe" });
  await c.dispose();
});

test("a stream that is lost is resumed alone; nothing is lost or doubled [SESS-20]", async () => {
  const c = client();
  const conn = c.counter.get().connect();
  const statuses: string[] = [];
  conn.onStatusChange((status) => statuses.push(status));
  const seen: unknown[] = [];
  conn.on("count", (n) => seen.push(n));
  const { peer, first } = await begin();
  const { stream, connection } = await open(peer);
  stream.send(event(connection, 1));
  const early = [quiet(conn.getCount()), quiet(conn.getCount())];
  const calls = [await stream.next("call"), await stream.next("call")];
  stream.reset();

  const second = await peer.accept();
  expect(await second.next("connectionResume")).toMatchObject({ connection, frames: 2 });
  const late = quiet(conn.getCount());
  const other = c.counter.get("other").getCount(); // which that does not delay
  const { id } = await first.next("call");
  first.send({ kind: "ack", received: [{ connection, frames: 2 }] }); // of what came on the stream that was lost
  first.send({ kind: "callResult", id, output: encode(9) });
  expect(await other).toBe(9);
  expect(second.waiting).toBe(0); // nothing more before the answer

  second.send({ kind: "connectionResumed", connection, frames: 2 }); // the open, and one call
  expect(await second.next("call")).toStrictEqual(calls[1]);
  const last = await second.next("call");
  for (const [n, call] of [...calls, last].entries()) second.send(event(connection, n + 2), { kind: "callResult", id: call.id, connection, output: encode(n) });
  expect(await Promise.all([...early, late])).toStrictEqual([0, 1, 2]);
  expect(seen).toStrictEqual([1, 2, 3, 4]);
  expect(statuses).toStrictEqual(["connected"]);
  await c.dispose();
});

test("a stream that is lost before its open was answered goes on as the gateway has it", async () => {
  const c = client();
  const conn = c.counter.get().connect();
  const result = conn.getCount();
  const { peer, first } = await begin();
  const lost = await peer.accept();
  const opening = await lost.next("connectionOpen");
  lost.reset();
  const second = await peer.accept();
  expect(await second.next("connectionResume")).toMatchObject({ connection: opening.connection, frames: 0 });
  first.send({ kind: "protocolError", error: { group: "connection", code: "not_found", message: "", metadata: undefined, retryable: false, ran: "no", retryAfterMs: 0 } });
  second.reset(); // it has never heard of it
  const third = await peer.accept();
  expect(await third.next("connectionOpen")).toStrictEqual(opening);
  third.send({ kind: "connectionOpened", connection: opening.connection, actorId: "a", connectionId: "c" });
  const call = await third.next("call");
  third.send({ kind: "callResult", id: call.id, connection: opening.connection, output: encode(5) });
  expect(await result).toBe(5);
  await c.dispose();
});

test("a connection whose streams are lost again and again opens anew, and so does every one without resume", async () => {
  const c = client();
  const conn = c.counter.get().connect();
  const errors: string[] = [];
  conn.onError(({ group, code }) => errors.push(`${group}.${code}`));
  const result = quiet(conn.getCount());
  const { peer } = await begin();
  const { stream, connection } = await open(peer);
  await stream.next("call");
  stream.reset();
  for (let n = 0; n < 4; n++) (await peer.accept()).reset();
  await expect(result).rejects.toMatchObject({ group: "connection", code: "resume_lost", ran: "maybe" });
  const again = await open(peer);
  expect(again.connection).toBeGreaterThan(connection);
  expect(errors).toStrictEqual(["connection.resume_lost"]);
  await c.dispose();

  const d = client();
  const plain = d.counter.get().connect();
  const lost = quiet(plain.getCount());
  const begun = await begin({ kind: "welcome", session: "s" });
  const opened = await open(begun.peer);
  await opened.stream.next("call");
  opened.stream.end(); // before ConnectionClosed
  await expect(lost).rejects.toMatchObject({ group: "connection", code: "resume_lost", ran: "maybe" });
  await open(begun.peer);
  await d.dispose();
});

test("a session whose way was lost goes on over another, each connection on its own [SESS-15] [SESS-20]", async () => {
  const c = client();
  const [a, b, d] = [c.counter.get("a").connect(), c.counter.get("b").connect(), c.counter.get("d").connect()];
  const results = [a, b, d].map((conn) => quiet(conn.getCount()));
  const { peer, first } = await begin();
  const opened = [await open(peer), await open(peer)] as const;
  const [x, y] = opened;
  const calls = [await x.stream.next("call"), await y.stream.next("call")] as const;
  const third = await peer.accept();
  const opening = await third.next("connectionOpen");
  peer.fail();

  const next = await peers.accept();
  const zeroth = await next.accept();
  const hello = await zeroth.next("hello");
  expect(hello.resume).toMatchObject({ token: token(1), received: [zero, { connection: x.connection, frames: 1 }, { connection: y.connection, frames: 1 }, { connection: opening.connection, frames: 0 }] });
  expect(next.streams.length).toBe(0);
  // The gateway has all of the first, only the open of the second, and nothing of the third.
  zeroth.send(welcome(2, { resumed: true, received: [zero, { connection: x.connection, frames: 2 }, { connection: y.connection, frames: 1 }] }));
  const streams = new Map<number, Stream>();
  for (let n = 0; n < 2; n++) {
    const stream = await next.accept();
    const { connection, frames } = await stream.next("connectionResume");
    expect(frames).toBe(1);
    streams.set(connection, stream);
  }
  const anew = await next.accept();
  expect(await anew.next("connectionOpen")).toStrictEqual(opening);
  anew.send({ kind: "connectionOpened", connection: opening.connection, actorId: "a", connectionId: "c" });
  const held = await anew.next("call");
  anew.send({ kind: "callResult", id: held.id, connection: opening.connection, output: encode(3) });
  const [p, q] = [streams.get(x.connection) as Stream, streams.get(y.connection) as Stream];
  p.send({ kind: "connectionResumed", connection: x.connection, frames: 2 }, { kind: "callResult", id: calls[0].id, connection: x.connection, output: encode(1) });
  q.send({ kind: "connectionResumed", connection: y.connection, frames: 1 });
  expect(await q.next("call")).toStrictEqual(calls[1]);
  q.send({ kind: "callResult", id: calls[1].id, connection: y.connection, output: encode(2) });
  expect(await Promise.all(results)).toStrictEqual([1, 2, 3]);
  expect(first.waiting).toBe(0);
  await c.dispose();
});

test("an impossible count of the gateway ends the session", async () => {
  const c = client();
  const conn = c.counter.get().connect();
  const result = quiet(conn.getCount());
  const { peer, first } = await begin();
  const { stream, connection } = await open(peer);
  await stream.next("call");
  stream.reset();
  const second = await peer.accept();
  await second.next("connectionResume");
  second.send({ kind: "connectionResumed", connection, frames: 7 });
  expect(await first.next("goodbye")).toMatchObject({ code: "request.invalid_frame" });
  await expect(result).rejects.toMatchObject({ group: "session", code: "lost" });
  await c.dispose();
});

test("a call is canceled on the channel of its connection, and on channel 0 once that has ended [SESS-12]", async () => {
  const c = client();
  const conn = c.counter.get().connect();
  const [first, second] = [new AbortController(), new AbortController()];
  const calls = [first, second].map(({ signal }) => quiet(conn.action({ name: "getCount", signal })));
  const begun = await begin();
  const { stream, connection } = await open(begun.peer);
  const sent = [await stream.next("call"), await stream.next("call")] as const;
  first.abort();
  expect(await stream.next("cancelCall")).toMatchObject({ id: sent[0].id, connection });
  stream.send({ kind: "connectionClosed", connection, error: { group: "connection", code: "disconnected", message: "", metadata: undefined, retryable: false, ran: "", retryAfterMs: 0 }, reconnect: "never" });
  await begun.first.next("ack");
  second.abort();
  expect(await begun.first.next("cancelCall")).toMatchObject({ id: sent[1].id, connection: 0 });
  await Promise.allSettled(calls);
  await c.dispose();
});

test("what is said of a connection on channel 0 may come before its stream's last frames", async () => {
  const c = client();
  const conn = c.counter.get().connect();
  const result = conn.getCount();
  const reason = new Promise((resolve) => conn.onClose(resolve));
  const { peer, first } = await begin();
  const { stream, connection } = await open(peer);
  const { id } = await stream.next("call");
  first.send({ kind: "ack", received: [{ connection, frames: 2 }] }, { kind: "callResult", id, output: encode(4) }); // the call crossed the close
  expect(await result).toBe(4);
  stream.send({ kind: "connectionClosed", connection, error: { group: "connection", code: "disconnected", message: "", metadata: undefined, retryable: false, ran: "", retryAfterMs: 0 }, reconnect: "never" });
  stream.end();
  expect(await reason).toMatchObject({ code: "disconnected" });
  expect(await stream.ended).toBe(undefined);
  expect(await first.next("ack")).toMatchObject({ received: expect.arrayContaining([{ connection: 0, frames: 1 }, { connection, frames: 2 }]) });
  await c.dispose();
});

test("datagrams: unreliable events, and Pings that are answered the way they came [SESS-21] [CONN-11]", async () => {
  const c = client();
  const conn = c.counter.get().connect();
  const seen: unknown[] = [];
  conn.on("count", (n) => seen.push(n));
  const { peer, first } = await begin();
  const opening = await peer.accept();
  const { connection } = await opening.next("connectionOpen");
  const unreliable = (n: number): Draft => ({ kind: "unreliableEvent", connection, event: "count", args: encode([n]) });
  peer.sendDatagram(unreliable(0)); // the connection is not open
  peer.fake.toClient.enqueue(new Uint8Array([0xff])); // which is passed over
  peer.sendDatagram({ kind: "ping", nonce: 7n });
  expect(await peer.datagrams.shift()).toMatchObject({ kind: "pong", nonce: 7n });
  opening.send({ kind: "connectionOpened", connection, actorId: "a", connectionId: "c" });
  await eventually(() => expect(conn.connStatus).toBe("connected"));
  peer.sendDatagram(unreliable(1));
  first.send({ kind: "ping", nonce: 8n });
  expect(await first.next("pong")).toMatchObject({ nonce: 8n });
  await eventually(() => expect(seen).toStrictEqual([1]));
  opening.reset();
  expect(await (await peer.accept()).next("connectionResume")).toMatchObject({ frames: 1 }); // what came as datagram is not counted
  await c.dispose();
});

test("a Goodbye counts, whatever the session's close says then [SESS-22]", async () => {
  const c = client();
  const conn = c.counter.get().connect();
  const reason = new Promise((resolve) => conn.onClose(resolve));
  const { peer, first } = await begin();
  await open(peer);
  first.send({ kind: "goodbye", code: "session.superseded", reconnect: "never", message: "elsewhere" });
  first.end();
  peer.close(1000, "session.superseded");
  expect(await reason).toMatchObject({ group: "session", code: "superseded" });
  await c.dispose();
});

test("where there is no WebTransport, a client that has to use it fails at once", async () => {
  peers.stop();
  const c = client();
  await expect(c.counter.get().getCount()).rejects.toMatchObject({ group: "request", code: "unsupported", ran: "no" });
  await c.dispose();
});
