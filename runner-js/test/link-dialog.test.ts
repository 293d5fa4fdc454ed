// What a link does with time, on a socket that the test holds in its hands.
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FrameSchema, type Frame } from "../src/gen/stagedoor/runner/v1alpha1/runner_pb.ts";
import type { Endpoint } from "../src/link/endpoint.ts";
import { Hosting } from "../src/link/hosting.ts";
import type { Receiver, Socket } from "../src/link/socket.ts";
import { HEADER } from "../src/wire/frame.ts";
import { EchoHost, linesOf } from "./link-echo.ts";

type Kind = NonNullable<MessageInitShape<typeof FrameSchema>["kind"]>;

/** Hand is a socket whose other end is the test. */
class Hand implements Socket {
  to!: Receiver;
  said: Frame[] = [];
  isClosed = false;

  start(to: Receiver): void {
    this.to = to;
  }

  write(frames: Buffer, written: () => void): void {
    for (let at = 0; at < frames.length; ) {
      const end = at + HEADER + frames.readUInt32BE(at);
      this.said.push(fromBinary(FrameSchema, new Uint8Array(frames.subarray(at + HEADER, end))));
      at = end;
    }
    written();
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    queueMicrotask(() => this.to.closed(new Error("closed")));
  }

  hear(...kinds: Kind[]): void {
    try {
      this.to.batch(true);
      for (const kind of kinds) {
        const frame = Buffer.from(toBinary(FrameSchema, create(FrameSchema, { kind })));
        this.to.frame(frame, 0, frame.length);
      }
      this.to.batch(false);
    } catch (err) {
      this.to.fault(err); // as sockets do
    }
  }

  kinds(): (string | undefined)[] {
    return this.said.map((f) => f.kind.case);
  }
}

const welcome = (more: object = {}): Kind => ({
  case: "welcome",
  value: {
    protocol: 1, features: ["resume", "adopt", "events", "kv", "connections"], session: Uint8Array.of(1), leaseMs: 15_000, marginMs: 3_000,
    pingMs: 3_000, lostMs: 15_000, backoffMinMs: 250, backoffMaxMs: 10_000, ...more,
  },
});

const stop = new AbortController();
const hands: Hand[] = [];
const host = new EchoHost();
let serving: Promise<void>;

beforeEach(() => {
  vi.useFakeTimers();
  hands.length = 0;
  const dial = () => {
    const hand = new Hand();
    hands.push(hand);
    return hand;
  };
  const endpoint: Endpoint = { shown: "hand", dial };
  const identity = { endpoint, token: "", pool: "", instance: "i", version: 0, region: "", labels: {}, tls: undefined };
  serving = new Hosting(identity, host, linesOf(), stop.signal, 1000).serve();
  serving.catch(() => {});
});

afterEach(() => {
  vi.useRealTimers();
});

async function open(i: number, more: object = {}): Promise<Hand> {
  await vi.advanceTimersByTimeAsync(0);
  const hand = hands[i]!;
  hand.to.opened();
  await vi.advanceTimersByTimeAsync(1);
  hand.hear(welcome(more));
  await vi.advanceTimersByTimeAsync(1);
  return hand;
}

/** wait lets time pass in which the gateway answers every Ping, with a lease or without. */
async function wait(hand: Hand, ms: number, leaseMs: number): Promise<void> {
  for (let t = 0; t < ms; t += 100) {
    await vi.advanceTimersByTimeAsync(100);
    for (const f of hand.said.splice(0)) {
      if (f.kind.case === "ping") hand.hear({ case: "pong", value: { nonce: f.kind.value.nonce, leaseMs } });
      else if (f.kind.case === "goodbye") hand.said.push(f);
    }
  }
}

test("a pause that is longer than a timer takes is not none", async () => {
  await vi.advanceTimersByTimeAsync(0);
  const hand = hands[0]!;
  hand.to.opened();
  hand.hear({ case: "reject", value: { code: "session.too_many", retryable: true, retryAfterMs: 2 ** 32 - 1 } });
  hand.destroy();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(hands.length).toBe(1);
});

test("a Ping is answered, a link Fence too [LINK-8]", async () => {
  const hand = await open(0);
  hand.said = [];
  hand.hear({ case: "ping", value: { nonce: 5n } }, { case: "ping", value: { nonce: 2n ** 63n } }, { case: "fence", value: { nonce: 9n } });
  await vi.advanceTimersByTimeAsync(1);
  expect(hand.kinds()).toEqual(["pong", "fenceReached"]);
  expect(hand.said[0]!.kind.value).toMatchObject({ nonce: 2n ** 63n });
});

test("an unknown kind, and one that was not negotiated, is answered Unsupported [FRAME-4]", async () => {
  const hand = await open(0);
  hand.said = [];
  const unknown = Buffer.from("da0c0408071009", "hex"); // kind 203, its number 9
  hand.to.frame(unknown, 0, unknown.length);
  hand.hear({ case: "credit", value: { offset: 1n } }, { case: "hosted", value: {} }, { case: "unsupported", value: { kind: 99 } });
  await vi.advanceTimersByTimeAsync(1);
  expect(hand.said.map((f) => f.kind.value)).toMatchObject([{ kind: 203, number: 9n }, { kind: 103 }, { kind: 50 }]);
});

test("a gateway that falls silent is left without a word, and the session resumed [LINK-7] [LINK-16]", async () => {
  const hand = await open(0, { leaseMs: 60_000 });
  await vi.advanceTimersByTimeAsync(14_900);
  expect(hand.isClosed).toBe(false);
  hand.hear({ case: "pong", value: { nonce: 1n } });
  await vi.advanceTimersByTimeAsync(18_000);
  expect(hand.isClosed).toBe(true);
  expect(hand.kinds()).not.toContain("goodbye");
  await vi.advanceTimersByTimeAsync(1);
  hands[1]!.to.opened();
  await vi.advanceTimersByTimeAsync(1);
  expect(hands[1]!.kinds()).toEqual(["hello"]);
});

test("a lease that is renewed lasts; one that is not ends the session [LEASE-1] [LEASE-3]", async () => {
  const hand = await open(0);
  await wait(hand, 60_000, 15_000);
  expect(hand.isClosed).toBe(false);
  await wait(hand, 20_000, 0);
  expect(hand.isClosed).toBe(true);
  expect(hand.said.at(-1)!.kind).toMatchObject({ case: "goodbye", value: { code: "runner.session_lost" } });
  await vi.advanceTimersByTimeAsync(1);
  hands[1]!.to.opened();
  await vi.advanceTimersByTimeAsync(1);
  expect(hands[1]!.said[0]!.kind.value).not.toHaveProperty("resume");
});

test("without a lease nothing is written but Pings; with one again it is [LEASE-2]", async () => {
  const hand = await open(0);
  await vi.advanceTimersByTimeAsync(12_500);
  hand.said = [];
  hand.hear({ case: "fence", value: { nonce: 9n } });
  await vi.advanceTimersByTimeAsync(100);
  expect(hand.kinds()).not.toContain("fenceReached");
  hand.hear({ case: "pong", value: { nonce: 4n, leaseMs: 15_000 } });
  await vi.advanceTimersByTimeAsync(100);
  expect(hand.kinds()).toContain("fenceReached");
});

test("no Welcome is waited for 10 s, then another attempt made [LINK-1]", async () => {
  await vi.advanceTimersByTimeAsync(0);
  hands[0]!.to.opened();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(hands[0]!.isClosed).toBe(true);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(hands.length).toBeGreaterThan(1);
});

test("the pause before another attempt is what the gateway says", async () => {
  await vi.advanceTimersByTimeAsync(0);
  hands[0]!.to.opened();
  hands[0]!.hear({ case: "reject", value: { code: "gateway.overloaded", message: "full", retryable: true, retryAfterMs: 7_000 } });
  hands[0]!.destroy();
  await vi.advanceTimersByTimeAsync(6_900);
  expect(hands.length).toBe(1);
  await vi.advanceTimersByTimeAsync(200);
  expect(hands.length).toBe(2);
});

test("a Goodbye that says never is final, one that says superseded ends only the socket [LINK-6]", async () => {
  const hand = await open(0);
  hand.hear({ case: "goodbye", value: { code: "runner.superseded" } });
  hand.destroy();
  await vi.advanceTimersByTimeAsync(1);
  const next = hands[1]!;
  next.to.opened();
  await vi.advanceTimersByTimeAsync(1);
  expect(next.said[0]!.kind.value).toMatchObject({ resume: { session: Uint8Array.of(1) } });
  next.hear(welcome({ resumedReceived: 0n }), { case: "resumed", value: { next: 1n } });
  next.hear({ case: "goodbye", value: { code: "runner.replaced", message: "gone", reconnect: 3 } });
  next.destroy();
  await expect(serving).rejects.toMatchObject({ group: "runner", code: "replaced", message: "gone" });
});

test("a resume that cannot be is answered with Goodbye, and another session asked for [LINK-17]", async () => {
  const hand = await open(0);
  hand.destroy();
  await vi.advanceTimersByTimeAsync(1);
  hands[1]!.to.opened();
  await vi.advanceTimersByTimeAsync(1);
  hands[1]!.hear(welcome({ resumedReceived: 99n }));
  await vi.advanceTimersByTimeAsync(1);
  expect(hands[1]!.said.at(-1)!.kind).toMatchObject({ case: "goodbye", value: { code: "runner.session_lost" } });
  await vi.advanceTimersByTimeAsync(10_000);
  hands[2]!.to.opened();
  await vi.advanceTimersByTimeAsync(1);
  expect(hands[2]!.said[0]!.kind.value).not.toHaveProperty("resume");
});
