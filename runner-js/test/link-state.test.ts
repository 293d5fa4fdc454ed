// The state of a link over a network that is as bad as the protocol allows: bytes of one direction of one socket arrive in
// order or not at all. A seed names a schedule.
import { expect, test } from "vitest";
import { LinkState } from "../src/link/linkstate.ts";
import { Lane } from "../src/link/outbox.ts";
import { Envelope, frameLength, HEADER, MAX_STEP } from "../src/wire/frame.ts";
import type { WireFault } from "../src/wire/fault.ts";
import { Reader } from "../src/wire/reader.ts";
import * as kinds from "../src/wire/kinds.ts";
import * as hot from "../src/wire/hot-decode.ts";
import { Assembler } from "../src/wire/parts.ts";
import { Writer } from "../src/wire/writer.ts";

const BOUND = 200_000;
const LANES = 3;

function generator(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** Side is one end, with the numbers that its lanes have sent and got. */
class Side {
  readonly state = new LinkState(BOUND);
  readonly lanes = Array.from({ length: LANES }, (_, i) => new Lane(i + 1));
  readonly sent = [0, 0, 0, 0];
  readonly got = [0, 0, 0, 0];
  readonly parts = new Assembler();
  attached = true;

  push(actor: number, size: number): void {
    const id = ++this.sent[actor]!;
    this.state.push(this.lanes[actor - 1]!, { kind: "callResult", actor, id, output: new Uint8Array(size) });
  }

  take(limit: number, nowMs: number): Buffer {
    const w = new Writer(1024);
    if (this.attached) this.state.take(w, limit, nowMs);
    return Buffer.from(w.view());
  }

  read(frame: Buffer, nowMs: number): void {
    const e = new Envelope();
    e.read(frame, HEADER, frame.length);
    const r = new Reader().over(e.buf, e.start, e.end);
    if (e.kind === kinds.ACK) return this.state.acknowledge(hot.decodeAck(r));
    if (e.kind === kinds.RESUMED) return this.state.resumed(hot.decodeResumed(r));
    this.state.count(frame.length, nowMs);
    if (e.kind !== kinds.PART) return this.result(e);
    const whole = this.parts.add(hot.decodePart(r), 16 << 20);
    if (whole === undefined) return;
    e.read(whole, 0, whole.length);
    this.result(e);
  }

  private result(e: Envelope): void {
    const actor = e.actor();
    const id = e.number(2);
    expect(this.parts.isOpen(actor)).toBe(false);
    expect(id).toBe(this.got[actor]! + 1); // in order, exactly once
    this.got[actor] = id;
  }
}

class Network {
  readonly sides = [new Side(), new Side()] as const;
  private flight: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
  private readonly below: (n: number) => number;
  nowMs = 0;

  constructor(seed: number) {
    this.below = generator(seed);
  }

  step(): void {
    const i = this.below(2);
    const side = this.sides[i]!;
    const p = this.below(100);
    if (p < 35) side.push(1 + this.below(LANES), [0, 10, 500, 60_000, 65_500, 150_000][this.below(6)]!);
    else if (p < 65) this.write(i, [1, 1000, 65_536, 262_144][this.below(4)]!);
    else if (p < 93) this.arrive(i, this.below([10, 1000, 200_000][this.below(3)]!));
    else if (p < 97) this.nowMs += this.below(60);
    else this.reconnect();
  }

  write(i: number, limit: number): void {
    this.flight[1 - i] = Buffer.concat([this.flight[1 - i]!, this.sides[i]!.take(limit, this.nowMs)]);
  }

  /** The first bytes of what is under way arrive at a side, as far as they are whole frames. */
  arrive(i: number, bytes: number): void {
    for (let left = bytes; ; ) {
      const flight = this.flight[i]!;
      const n = frameLength(flight, 0, flight.length, 16 << 20);
      if (n === 0 || n > left) return;
      this.sides[i]!.read(flight.subarray(0, n), this.nowMs);
      this.flight[i] = flight.subarray(n);
      left -= n;
    }
  }

  /** What is under way is lost, and both sides go on over another socket. */
  reconnect(): void {
    this.flight = [Buffer.alloc(0), Buffer.alloc(0)];
    const received = this.sides.map((s) => s.state.received);
    this.sides.forEach((s, i) => {
      s.state.detach();
      s.state.attach(received[1 - i]!);
    });
  }

  settle(): void {
    for (let round = 0; round < 2000; round++) {
      this.nowMs += 60;
      for (const i of [0, 1]) {
        this.write(i, 262_144);
        this.arrive(1 - i, Infinity);
      }
      if (this.sides.every((s, i) => s.sent.join() === this.sides[1 - i]!.got.join())) return;
    }
    throw new Error("something is stuck");
  }
}

const first = Math.floor(Math.random() * 2 ** 31);

test(`each actor's frames come in order and exactly once (seeds from ${first}) [LINK-3] [LINK-14] [LINK-15] [LINK-16]`, () => {
  for (let seed = first; seed < first + 30; seed++) {
    const net = new Network(seed);
    for (let n = 0; n < 400; n++) net.step();
    net.settle();
    for (const side of net.sides) expect(side.state.queued).toBe(0);
  }
});

function pair() {
  const [a, b] = [new Side(), new Side()];
  const move = (from: Side, to: Side, nowMs: number) => {
    const buf = from.take(1 << 20, nowMs);
    for (let at = 0; at < buf.length; ) {
      const n = frameLength(buf, at, buf.length, 1 << 24);
      to.read(buf.subarray(at, at + n), nowMs);
      at += n;
    }
    return buf.length;
  };
  return { a, b, move };
}

test("an acknowledgement goes within 64 frames or 50 ms [LINK-14]", () => {
  const { a, b, move } = pair();
  a.push(1, 10);
  move(a, b, 0);
  expect(b.state.ackInMs(0)).toBe(50);
  expect(b.take(1000, 49).length).toBe(0);
  expect(b.state.ackInMs(50)).toBe(0);
  expect(b.take(1000, 50).length).toBeGreaterThan(0);
  expect(b.state.ackInMs(60)).toBeUndefined();
  for (let i = 0; i < 64; i++) a.push(1, 10);
  move(a, b, 60);
  expect(b.state.ackInMs(60)).toBe(0);
});

test("at the bound nothing more is written until an acknowledgement comes [LINK-15]", () => {
  const { a, b, move } = pair();
  for (let i = 0; i < 10; i++) a.push(1, 50_000);
  let written = 0;
  for (let n = move(a, b, 0); n > 0; n = move(a, b, 0)) written += n;
  expect(written).toBeLessThanOrEqual(BOUND);
  move(b, a, 100);
  expect(move(a, b, 100)).toBeGreaterThan(0);
});

test("what two sides cannot agree on is the loss of the session [LINK-17]", () => {
  const { a, b, move } = pair();
  a.push(1, 10);
  move(a, b, 0);
  const lost = expect.objectContaining({ fault: "lost" }) as WireFault;
  const thrown = (f: () => void) => {
    try {
      f();
      return undefined;
    } catch (err) {
      return err;
    }
  };
  expect(thrown(() => a.state.acknowledge({ kind: "ack", received: 2 }))).toEqual(lost);
  expect(thrown(() => a.state.resumed({ kind: "resumed", next: 1 }))).toEqual(lost);
  a.state.detach();
  expect(thrown(() => a.state.attach(2))).toEqual(lost);
  a.state.attach(0);
  expect(thrown(() => a.state.count(10, 0))).toEqual(lost);
  expect(thrown(() => a.state.resumed({ kind: "resumed", next: 2 }))).toEqual(lost);
});

test("lanes take turns, and one long frame is under way at a time [LINK-3] [LIMIT-5]", () => {
  const { a } = pair();
  a.push(1, 300_000);
  a.push(2, 300_000);
  for (let i = 0; i < 3; i++) a.push(3, 30_000);
  const order: string[] = [];
  for (let buf = a.take(1, 0); buf.length > 0 && order.length < 30; buf = a.take(1, 0)) {
    for (let at = 0; at < buf.length; ) {
      const n = frameLength(buf, at, buf.length, 1 << 24);
      expect(n).toBeLessThanOrEqual(HEADER + MAX_STEP);
      const e = new Envelope();
      e.read(buf, at + HEADER, at + n);
      order.push(`${e.kind === kinds.PART ? "part" : "whole"} ${e.actor()}`);
      at += n;
    }
    a.state.acknowledge({ kind: "ack", received: order.length });
  }
  const parts = order.filter((o) => o.startsWith("part"));
  expect(parts).toEqual([...Array<string>(5).fill("part 1"), ...Array<string>(5).fill("part 2")]);
  expect(order.indexOf("whole 3")).toBeLessThan(order.lastIndexOf("part 1"));
});
