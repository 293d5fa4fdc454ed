import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { createClient } from "../src/index.ts";
import type { ClientOptions } from "../src/index.ts";
import { longestMs } from "../src/timer.ts";
import { encode } from "../src/values/index.ts";
import { json, proto } from "../src/wire/codec.ts";
import type { Draft, Limits } from "../src/wire/messages.ts";
import type { Examples } from "./actors.ts";
import { startPeers } from "./peer.ts";
import type { Peer, Peers } from "./peer.ts";
import { eventually } from "./tools.ts";

let peers: Peers;
let encoding: "proto" | "json";

const client = (options: ClientOptions = {}) => createClient<Examples>({ endpoint: peers.url, encoding, backoffMinMs: 1, backoffMaxMs: 1, ...options });
/** quiet is a promise whose rejection somebody waits for, later. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

const token = (n: number) => new Uint8Array([n]);
const welcome = (n: number, more: object = {}): Draft => ({ kind: "welcome", session: "s", features: ["resume"], resumeToken: token(n), pingMs: 60_000, ...more });

/** begin takes a socket, and the client's Hello. */
async function begin(answer: Draft = welcome(1)): Promise<Peer> {
  const peer = await peers.accept();
  const hello = await peer.next("hello");
  expect(hello).toMatchObject({ features: ["resume", "unreliable"], sdk: "stagedoor-js" });
  peer.send(answer);
  if ((answer as { resumeToken?: unknown }).resumeToken) expect(await peer.next("ack")).toMatchObject({ received: [{ connection: 0, frames: 0 }] });
  return peer;
}

/** open answers the client's open. */
async function open(peer: Peer): Promise<number> {
  const { connection } = await peer.next("connectionOpen");
  peer.send({ kind: "connectionOpened", connection, actorId: "a", connectionId: "c" });
  return connection;
}

describe.each([["proto", proto], ["json", json]] as const)("in %s", (name, codec) => {
  beforeAll(async () => {
    encoding = name;
    peers = await startPeers(codec);
  });

  afterAll(() => peers?.stop());

  test("a Ping is answered with its nonce, of 64 bits", async () => {
    const nonce = name === "proto" ? 2n ** 64n - 1n : 2n ** 53n - 1n; // which is what JSON.parse reads
    const c = client();
    void c.counter.get().getCount().catch(() => {});
    const peer = await begin();
    await peer.next("call");
    peer.send({ kind: "ping", nonce });
    expect(await peer.next("pong")).toMatchObject({ nonce });
    await c.dispose();
    expect(await peer.next("goodbye")).toMatchObject({ code: "connection.closed" });
    await peer.gone;
  });

  test("silence is answered by Pings, then the socket is left without a word, and the session goes on [SESS-5] [SESS-15]", async () => {
    const c = client();
    const conn = c.counter.get().connect();
    const result = quiet(conn.getCount());
    const peer = await begin(welcome(1, { pingMs: 20 }));
    const connection = await open(peer);
    const call = await peer.next("call");
    expect(await peer.next("ping")).toMatchObject({ nonce: 1n });
    expect(await peer.next("ping")).toMatchObject({ nonce: 2n });
    await peer.gone;
    const second = await peers.accept();
    const hello = await second.next("hello");
    expect(hello.resume).toStrictEqual({ token: token(1), received: [{ connection: 0, frames: 0 }, { connection, frames: 1 }] });
    second.send(welcome(2, { resumed: true, received: [{ connection: 0, frames: 0 }, { connection, frames: 1 }] }));
    expect(await second.next("call")).toStrictEqual(call); // the gateway had only the open
    expect(await second.next("ack")).toMatchObject({ received: [{ connection: 0, frames: 0 }] });
    second.send({ kind: "callResult", id: call.id, connection, output: encode(7) });
    expect(await result).toBe(7);
    await c.dispose();
  });

  test("64 frames of a channel are acknowledged [SESS-14]", async () => {
    const c = client();
    const conn = c.counter.get().connect();
    const reason = new Promise((resolve) => conn.onClose(resolve));
    let count = 0;
    conn.on("count", () => count++);
    const peer = await begin();
    const connection = await open(peer);
    for (let n = 0; n < 63; n++) peer.send({ kind: "event", connection, event: "count", args: encode([n]) });
    expect(await peer.next("ack")).toMatchObject({ received: [{ connection, frames: 64 }] });
    expect(count).toBe(63);
    peer.send({ kind: "connectionClosed", connection, error: wireError("connection", "disconnected"), reconnect: "never" });
    expect(await peer.next("ack")).toMatchObject({ received: [{ connection, frames: 65 }] }); // at once
    expect(await reason).toMatchObject({ group: "connection", code: "disconnected" }); // [CONN-4]
    expect(conn.connStatus).toBe("idle");
    await c.dispose();
  });

  test("an answer that nobody waits for says all the same that its call has arrived [SESS-14]", async () => {
    const c = client({ maxQueuedBytes: 1000 });
    const conn = c.counter.get().connect();
    const peer = await begin();
    const connection = await open(peer);
    for (let n = 0; n < 10; n++) { // which together are more than a client keeps
      const controller = new AbortController();
      const canceled = conn.action({ name: "increment", args: ["x".repeat(100_000)], signal: controller.signal });
      const call = await peer.next("call");
      controller.abort();
      await expect(canceled).rejects.toMatchObject({ code: "canceled" });
      await peer.next("cancelCall");
      peer.send({ kind: "callResult", id: call.id, connection, output: encode(n) });
    }
    const result = conn.getCount();
    const call = await peer.next("call");
    peer.send({ kind: "callResult", id: call.id, connection, output: encode(7) });
    expect(await result).toBe(7);
    await c.dispose();
  });

  test("a Goodbye that is final ends everything, one that is not does not [SESS-18]", async () => {
    const c = client();
    const conn = c.counter.get().connect();
    const reason = new Promise((resolve) => conn.onClose(resolve));
    const result = quiet(conn.getCount());
    const peer = await begin();
    const connection = await open(peer);
    await peer.next("call");
    peer.send({ kind: "goodbye", code: "session.slow_reader", reconnect: "same", message: "slow" });
    const second = await peers.accept();
    expect((await second.next("hello")).resume?.received).toHaveLength(2);
    second.send(welcome(2, { resumed: true, received: [{ connection: 0, frames: 0 }, { connection, frames: 2 }] }));
    await second.next("ack");
    second.send({ kind: "goodbye", code: "session.superseded", reconnect: "never", message: "elsewhere" });
    await expect(result).rejects.toMatchObject({ group: "session", code: "superseded", message: "elsewhere", ran: "maybe" });
    expect(await reason).toMatchObject({ group: "session", code: "superseded" });
    await c.dispose();
  });

  test("a gateway that has forgotten the session: calls are lost, connections open anew", async () => {
    const c = client();
    const conn = c.counter.get().connect();
    let opened = 0;
    conn.onOpen(() => opened++);
    const result = quiet(conn.getCount());
    const peer = await begin();
    await open(peer);
    await peer.next("call");
    peer.socket.terminate();
    const second = await begin(welcome(9));
    await expect(result).rejects.toMatchObject({ group: "session", code: "lost", ran: "maybe" });
    await open(second);
    const again = conn.getCount();
    const call = await second.next("call");
    second.send({ kind: "callResult", id: call.id, connection: call.connection, output: encode(1) });
    expect(await again).toBe(1);
    expect(opened).toBe(2);
    await c.dispose();
  });

  test("a gateway that does not resume", async () => {
    const c = client();
    const conn = c.counter.get().connect();
    const result = quiet(conn.getCount());
    const peer = await begin({ kind: "welcome", session: "s" });
    await open(peer);
    await peer.next("call");
    peer.socket.terminate();
    await expect(result).rejects.toMatchObject({ group: "session", code: "lost" });
    const second = await begin({ kind: "welcome", session: "s" });
    await open(second);
    second.send({ kind: "ack", received: [] }); // a frame that was not negotiated [FRAME-4]
    expect(await second.next("unsupported")).toMatchObject({ unsupported: name === "proto" ? 102 : "ack" });
    await c.dispose();
  });

  test("the limits that Welcome names are kept", async () => {
    const c = client();
    const limits: Limits = { maxMessage: 4096, maxArgs: 100, maxInput: 10, maxParams: 10, maxCalls: 2, maxConnections: 0, maxSubscriptions: 1 };
    const counter = c.counter.get();
    const calls = [1, 2, 3].map(() => counter.getCount());
    const peer = await begin(welcome(1, { limits }));
    const first = await peer.next("call");
    await peer.next("call");
    await expect(counter.action({ name: "x", args: ["y".repeat(100)] , timeoutMs: 10 })).rejects.toMatchObject({ code: "timed_out", ran: "no" }); // waits behind the third
    peer.send({ kind: "callResult", id: first.id, output: encode(1) });
    const third = await peer.next("call");
    peer.send({ kind: "callResult", id: third.id - 1, output: encode(2) }, { kind: "callResult", id: third.id, output: encode(3) });
    expect(await Promise.all(calls)).toStrictEqual([1, 2, 3]);
    const tooLarge = { group: "request", code: "too_large", ran: "no" };
    await expect(counter.action({ name: "x", args: ["y".repeat(100)] })).rejects.toMatchObject(tooLarge);
    await expect(c.chat.get().connect({ name: "0123456789" }).members()).rejects.toMatchObject(tooLarge);
    await expect(c.counter.getOrCreate("a", { createWithInput: "0123456789" }).getCount()).rejects.toMatchObject(tooLarge);
    const conn = counter.connect();
    const errors: string[] = [];
    conn.onError((error) => errors.push(error.message));
    conn.on("count", () => {});
    (conn as unknown as { on(event: string, handler: () => void): void }).on("more", () => {});
    const opening = await peer.next("connectionOpen");
    expect(opening.subscriptions).toStrictEqual(["count"]);
    expect(errors).toStrictEqual(["Event more: The request exceeds a limit of the gateway: max_subscriptions is 1, this has 2."]);
    await c.dispose();
  });

  test("a message that cannot be read ends the session, politely", async () => {
    const c = client();
    void c.counter.get().getCount().catch(() => {});
    const peer = await begin();
    await peer.next("call");
    peer.socket.send(name === "proto" ? "text" : "no JSON");
    expect(await peer.next("goodbye")).toMatchObject({ code: "request.invalid_frame" });
    await peer.gone;
    await c.dispose();
  });

  test("a gateway that does not know a frame says so, and nobody waits for ever [FRAME-4]", async () => {
    const c = client();
    const counter = c.counter.get();
    const result = counter.getCount();
    const peer = await begin();
    const { id } = await peer.next("call");
    peer.send({ kind: "unsupported", unsupported: name === "proto" ? 1 : "call", number: id });
    const unsupported = { group: "request", code: "unsupported" };
    await expect(result).rejects.toMatchObject(unsupported);
    const conn = counter.connect();
    const call = conn.getCount();
    const { connection } = await peer.next("connectionOpen");
    peer.send({ kind: "unsupported", unsupported: name === "proto" ? 20 : "connectionOpen", number: connection });
    await expect(call).rejects.toMatchObject(unsupported);
    peer.socket.send(name === "proto" ? Buffer.from("00000005da06020807", "hex") : '{"type":"future"}'); // a kind of the future
    expect(await peer.next("unsupported")).toMatchObject({ unsupported: name === "proto" ? 107 : "future" });
    await c.dispose();
  });

  test("a message that is longer than the client takes costs the session, which would bring it again", async () => {
    const c = client({ maxMessageBytes: 1000 });
    const conn = c.counter.get().connect();
    const result = quiet(conn.getCount());
    const peer = await begin();
    const connection = await open(peer);
    await peer.next("call");
    peer.send({ kind: "event", connection, event: "count", args: encode(["x".repeat(2000)]) });
    await expect(result).rejects.toMatchObject({ group: "session", code: "lost", ran: "maybe" });
    const second = await peers.accept();
    expect((await second.next("hello")).resume).toBe(undefined);
    await c.dispose();
  });

  test("waits that no timer can hold are long, not none", async () => {
    // A timer that is told more than it can hold fires at once; what it is told decides, so nobody has to wait for nothing.
    const timers = vi.spyOn(globalThis, "setTimeout");
    onTestFinished(() => timers.mockRestore());
    const long = () => timers.mock.calls.map(([, ms]) => ms ?? 0).filter((ms) => ms > 60_000);
    const c = client();
    const conn = c.counter.get().connect();
    const first = await begin(welcome(1, { pingMs: 2 ** 32 - 1, resumeMs: 2 ** 32 - 1 }));
    const { connection } = await first.next("connectionOpen");
    const refused = { ...wireError("actor", "crash_loop"), retryable: true, retryAfterMs: 2 ** 32 - 1 };
    first.send({ kind: "connectionClosed", connection, error: refused, reconnect: "same" });
    const errors: string[] = [];
    conn.onError(({ code }) => errors.push(code));
    await first.next("ack");
    const { getCount } = c.counter.get();
    void getCount().catch(() => {});
    await first.next("call"); // nothing came before it
    first.send({ kind: "goodbye", code: "gateway.overloaded", reconnect: "same", retryAfterMs: 2 ** 32 - 1 });
    await first.gone;
    const { made } = peers;
    await eventually(() => expect(long()).toHaveLength(3)); // for the gateway's silence, the connection, and coming back
    expect(long()).toStrictEqual([longestMs, longestMs, longestMs]);
    expect([peers.made, errors]).toStrictEqual([made, ["crash_loop"]]);
    await c.dispose();
  });

  test("an error in an event, and in a handler, harms nobody else", async () => {
    const reported: unknown[] = [];
    const before = (globalThis as { reportError?: unknown }).reportError;
    (globalThis as { reportError?: unknown }).reportError = (error: unknown) => reported.push(error);
    const c = client();
    const conn = c.counter.get().connect();
    const errors: string[] = [];
    const seen: unknown[] = [];
    conn.onError(({ group, code }) => errors.push(`${group}.${code}`));
    conn.on("count", () => {
      throw new Error("mine");
    });
    conn.on("count", (n) => seen.push(n));
    const result = quiet(conn.getCount());
    const peer = await begin();
    const connection = await open(peer);
    const { id } = await peer.next("call");
    const event = (args: Uint8Array): Draft => ({ kind: "event", connection, event: "count", args });
    const broken = name === "proto" ? new Uint8Array([0xff]) : encode(0); // JSON that is broken costs the socket
    peer.send(event(encode([1])), event(broken), event(encode(1)), event(encode([2])));
    peer.send({ kind: "callResult", id, connection, output: broken });
    if (name === "proto") await expect(result).rejects.toMatchObject({ group: "client", code: "invalid_response", ran: "yes" });
    else expect(await result).toBe(0);
    expect(seen).toStrictEqual([1, 2]);
    await eventually(() => expect(errors).toStrictEqual(["client.invalid_response", "client.invalid_response"]));
    expect(reported).toHaveLength(2);
    await c.dispose();
    (globalThis as { reportError?: unknown }).reportError = before;
  });
});

function wireError(group: string, code: string) {
  return { group, code, message: "", metadata: undefined, retryable: false, ran: "", retryAfterMs: 0 } as const;
}
