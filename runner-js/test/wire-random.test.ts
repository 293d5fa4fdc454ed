// The hand-written code against the generated one, over random messages.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ErrorSchema } from "../src/gen/stagedoor/common/v1alpha1/common_pb.ts";
import { FrameSchema, ChangesSchema, type Frame } from "../src/gen/stagedoor/runner/v1alpha1/runner_pb.ts";
import { encodeChanges } from "../src/wire/changes.ts";
import { decode } from "../src/wire/decode.ts";
import { encodeFrame, type RunnerMessage } from "../src/wire/encode.ts";
import { WireFault } from "../src/wire/fault.ts";
import { Envelope, frameLength, HEADER, MAX_STEP } from "../src/wire/frame.ts";
import { Assembler } from "../src/wire/parts.ts";
import { Writer } from "../src/wire/writer.ts";
import { plain, tidy } from "./wire-plain.ts";

const ROUNDS = 3000;

/** Random is a small generator (mulberry32), so that a seed names a run. */
class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  below(n: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  }

  chance(): boolean {
    return this.below(2) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** ids of all lengths. */
  id(): number {
    return this.pick([0, 1, 127, 128, 300, 2 ** 28 - 1, 2 ** 31, 2 ** 32 + 7, 2 ** 49, Number.MAX_SAFE_INTEGER, this.below(2 ** 30)]);
  }

  uint32(): number {
    return this.pick([0, 1, 127, 128, 2 ** 31, 2 ** 32 - 1, this.below(2 ** 31)]);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const b = new Uint8Array(this.pick([0, 1, 5, 23, 24, 100, 127, 128, 200, 20_000]));
    for (let i = 0; i < b.length; i++) b[i] = this.below(256);
    return b;
  }

  text(): string {
    return this.pick(["", "a", "increment", "grüße", "日本語", "\ufeffmark", "🎭", "x".repeat(63), "x".repeat(64), "é".repeat(70), "y".repeat(300)]);
  }

  list<T>(one: () => T): T[] {
    return Array.from({ length: this.below(4) }, one);
  }

  maybe<T>(one: () => T): T | undefined {
    return this.chance() ? one() : undefined;
  }
}

const seed = Math.floor(Math.random() * 2 ** 31);
const named = (name: string) => `${name} (seed ${seed})`;

function error(r: Random) {
  return { group: r.text(), code: r.text(), message: r.text(), metadata: r.bytes(), retryable: r.chance(), ran: r.below(4), retryAfterMs: r.uint32() };
}

/** Without empty fields that are undefined: create would take them as given. */
function some<T extends object>(o: T): { [K in keyof T]-?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined)) as never;
}

const big = BigInt;

function gatewayFrame(r: Random): Frame {
  const actor = big(r.id());
  const id = big(r.id());
  return create(FrameSchema, {
    kind: r.pick<() => NonNullable<Parameters<typeof create<typeof FrameSchema>>[1]>["kind"]>([
      () => ({
        case: "call",
        value: some({
          actor, id, action: r.text(), args: r.bytes(), connection: big(r.id()), deadlineMs: r.uint32(), principal: big(r.id()),
          idempotencyKey: r.bytes(), attempt: r.uint32(), trace: r.bytes(), tracestate: r.text(), oneway: r.chance(),
          nowMs: big(r.pick([0, -1, r.id()])),
          alarm: r.maybe(() => ({ schedule: r.text(), fire: big(r.id()), scheduledAtMs: big(r.id()), resumed: r.chance() })),
        }),
      }),
      () => ({ case: "commitResult", value: some({ actor, version: id, error: r.maybe(() => error(r)) }) }),
      () => ({
        case: "kvResult",
        value: some({
          actor, id, more: r.chance(), error: r.maybe(() => error(r)),
          entries: r.list(() => some({ key: r.bytes(), value: r.maybe(() => r.bytes()) })),
        }),
      }),
      () => ({ case: "cancelCall", value: { actor, id, reason: r.below(5) } }),
      () => ({ case: "part", value: { actor, data: r.bytes(), last: r.chance() } }),
      () => ({ case: "ping", value: { nonce: r.pick([0n, 1n, 2n ** 53n + 1n, 2n ** 64n - 1n]) } }),
      () => ({ case: "pong", value: { nonce: 2n ** 63n + 9n, leaseMs: r.uint32(), nowMs: id } }),
      () => ({ case: "ack", value: { received: id } }),
      () => ({ case: "credit", value: { actor, stream: big(r.id()), offset: id } }),
      () => ({
        case: "startActor",
        value: some({
          actor, id: r.text(), namespace: r.text(), type: r.text(), key: r.list(() => r.text()), generation: id, nonce: r.bytes(),
          version: big(r.id()), create: r.chance(), input: r.maybe(() => r.bytes()), state: r.maybe(() => r.bytes()),
          deadlineMs: r.uint32(), nowMs: big(r.id()), restoredConnections: r.uint32(), attempt: r.uint32(), trace: r.bytes(), region: r.text(),
          goneConnections: r.list(() => some({ connectionId: r.text(), params: r.bytes(), state: r.maybe(() => r.bytes()) })),
        }),
      }),
      () => ({
        case: "connectionOpen",
        value: some({
          actor, call: id, connection: big(r.id()), params: r.bytes(), claims: r.bytes(), principal: big(r.id()), state: r.maybe(() => r.bytes()),
          subscriptions: r.list(() => r.text()), restored: r.chance(), transport: r.text(), trace: r.bytes(), connectionId: r.text(), deadlineMs: r.uint32(),
        }),
      }),
    ])()!,
  });
}

function runnerFrame(r: Random): Frame {
  const actor = big(r.id());
  const id = big(r.id());
  return create(FrameSchema, {
    kind: r.pick<() => NonNullable<Parameters<typeof create<typeof FrameSchema>>[1]>["kind"]>([
      () => ({ case: "callResult", value: some({ actor, id, output: r.maybe(() => r.bytes()), error: r.maybe(() => error(r)), notRun: r.chance() }) }),
      () => ({ case: "commit", value: { actor, version: id, changes: r.bytes(), outputs: r.uint32() } }),
      () => ({
        case: "emit",
        value: {
          actor, event: r.text(), to: r.list(() => big(r.id())), args: r.bytes(), except: r.list(() => big(r.id())), all: r.chance(), unreliable: r.chance(),
        },
      }),
      () => ({ case: "part", value: { actor, data: r.bytes(), last: r.chance() } }),
      () => ({
        case: "kvRead",
        value: some({
          actor, id, keys: r.list(() => r.bytes()), reverse: r.chance(), limit: r.uint32(), maxBytes: r.uint32(),
          range: r.maybe(() => some({ from: r.bytes(), until: r.maybe(() => r.bytes()) })),
        }),
      }),
      () => ({ case: "ack", value: { received: id } }),
      () => ({ case: "pong", value: { nonce: 2n ** 63n + 9n } }),
      () => ({ case: "actorStopped", value: some({ actor, outcome: r.below(6), error: r.maybe(() => error(r)) }) }),
    ])()!,
  });
}

function envelope(bytes: Uint8Array): Envelope {
  const e = new Envelope();
  e.read(Buffer.from(bytes), 0, bytes.length);
  return e;
}

test(named("what the generated code writes is read"), () => {
  const r = new Random(seed);
  for (let i = 0; i < ROUNDS; i++) {
    const frame = gatewayFrame(r);
    expect(tidy(decode(envelope(toBinary(FrameSchema, frame))))).toEqual(tidy(plain(frame)));
  }
});

test(named("what is written is byte for byte what the generated code writes"), () => {
  const r = new Random(seed);
  const w = new Writer(16);
  for (let i = 0; i < ROUNDS; i++) {
    const frame = runnerFrame(r);
    w.pos = 0;
    encodeFrame(w, plain(frame) as unknown as RunnerMessage);
    expect(frameLength(w.buf, 0, w.pos, 16 << 20)).toBe(w.pos);
    expect(w.view(HEADER).equals(toBinary(FrameSchema, frame))).toBe(true);
  }
});

test(named("changes are byte for byte what the generated code writes"), () => {
  const r = new Random(seed);
  for (let i = 0; i < 500; i++) {
    const c = create(
      ChangesSchema,
      some({
        state: r.maybe(() => r.bytes()),
        kv: r.list(() => some({ key: r.bytes(), value: r.maybe(() => r.bytes()), deleteUntil: r.maybe(() => r.bytes()) })),
        connectionsAdded: r.list(() => r.text()),
        connectionsRemoved: r.list(() => r.text()),
        destroy: r.chance(),
      }),
    );
    expect(Buffer.from(encodeChanges(c)).equals(toBinary(ChangesSchema, c))).toBe(true);
  }
});

test(named("damaged frames are read or refused, and nothing worse"), () => {
  const r = new Random(seed);
  for (let i = 0; i < ROUNDS; i++) {
    const bytes = toBinary(FrameSchema, gatewayFrame(r)).subarray(0, 200).slice();
    for (let n = 1 + r.below(3); n > 0; n--) bytes[r.below(bytes.length)] = r.below(256);
    try {
      decode(envelope(bytes));
    } catch (err) {
      expect(err).toBeInstanceOf(WireFault);
    }
  }
});

test("an error and an alarm in several pieces merge", () => {
  const half = (message: string, code: string) => toBinary(FrameSchema, create(FrameSchema, { kind: { case: "commitResult", value: { error: create(ErrorSchema, { message, code }) } } }));
  const joined = Buffer.concat([half("m", ""), half("", "c")]);
  const theirs = plain(fromBinary(FrameSchema, joined));
  expect(tidy(decode(envelope(joined)))).toEqual(tidy(theirs));
});

test("parts [LINK-3] [LIMIT-5]", () => {
  const a = new Assembler();
  const part = (actor: number, size: number, last: boolean) => ({ kind: "part" as const, actor, data: new Uint8Array(size).fill(actor), last });
  expect(a.add(part(1, 10, false), 100)).toBeUndefined();
  expect(a.isOpen(1)).toBe(true);
  expect(a.isOpen(2)).toBe(false);
  expect(a.add(part(2, 60, false), 100)).toBeUndefined();
  expect(a.add(part(1, 20, true), 100)).toEqual(Buffer.alloc(30, 1));
  expect(a.isOpen(1)).toBe(false);
  expect(() => a.add(part(3, 41, false), 100)).toThrow(WireFault);
  expect(() => new Assembler().add(part(1, MAX_STEP + 1, true), 1 << 20)).toThrow("at most 65536");
  expect(() => new Assembler().add(part(1, 0, true), 100)).toThrow("parts of nothing");
});
