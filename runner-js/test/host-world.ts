// A host behind a port in memory, whose gateway is the test.
import { decode, encode } from "@stagedoor/client/values";
import type { Definition } from "../src/actor/definition.ts";
import { createHost, type ActorHost, type HostOptions } from "../src/host/index.ts";
import { eventCost, type Feature, type Port, type Seat, type SessionInfo } from "../src/link/port.ts";
import { fromBinary } from "@bufbuild/protobuf";
import { vi } from "vitest";
import { ChangesSchema, type Changes } from "../src/gen/stagedoor/runner/v1alpha1/runner_pb.ts";
import type { ActorMessage, ActorOutMessage, Adopted, Call, Commit, ConnectionOpen, Limits, StartActor, StopReason } from "../src/wire/messages.ts";
import { linesOf, type Lines } from "./e2e-world.ts";

const limits: Limits = {
  maxMessage: 8 << 20, maxCallsPerActor: 1024, maxState: 4 << 20, maxKvKey: 2048, maxKvValue: 1 << 20, maxKvBatch: 4 << 20, maxKvOperations: 1024,
  maxCommit: 6 << 20, maxOutput: 1 << 20, maxEvent: 1 << 20, maxErrorMetadata: 16 << 10, maxConnectionState: 64 << 10, maxReadsPerActor: 64,
  maxGroupOutputs: 1024, maxGroupBytes: 4 << 20, maxHeldBytes: 4 << 20, maxUnackedBytes: 8 << 20, eventWindow: 4 << 20, linkWindow: 16 << 20,
  maxConnectionsPerActor: 10000,
};

export interface SessionOptions {
  readonly limits?: Partial<Limits>;
  readonly features?: readonly Feature[];
  readonly development?: boolean;
  readonly maxEventCost?: number;
}

/** FakePort keeps what an actor sends. */
export class FakePort implements Port {
  readonly ref: number;
  readonly session: SessionInfo;
  readonly sent: ActorOutMessage[] = [];
  closed = false;
  lease = true;
  /** Credit that is left; undefined: as much as is asked for. */
  credit: number | undefined;
  /** Called with everything that is sent. */
  onSend: ((m: ActorOutMessage) => void) | undefined;

  constructor(ref: number, options: SessionOptions = {}) {
    this.ref = ref;
    this.session = {
      limits: { ...limits, ...options.limits },
      features: new Set(options.features ?? ["connections", "events", "kv", "resume", "adopt", "credit"]),
      development: options.development ?? false,
      region: "here",
      timeouts: { actionMs: 60_000, startMs: 10_000, stopMs: 15_000, hookMs: 5_000, sleepAfterMs: 30_000 },
      eventWindow: 4 << 20,
      maxEventCost: options.maxEventCost ?? 2 << 20,
      leaseValid: () => this.lease,
      principal: () => undefined,
    };
  }

  send(m: ActorOutMessage): void {
    if (this.closed) throw new Error(`${m.kind} was sent behind the close`);
    if (m.actor !== this.ref) throw new Error(`${m.kind} was sent for actor ${m.actor} on the port of ${this.ref}`);
    this.sent.push(m.kind === "emit" ? { ...m } : m);
    this.onSend?.(m);
  }

  spend(cost: number): boolean {
    if (this.credit === undefined) return true;
    if (this.credit < cost) return false;
    this.credit -= cost;
    return true;
  }

  close(): void {
    this.closed = true;
  }
}

/** Stage is one actor and the gateway that the test plays. */
export class Stage {
  readonly host: ActorHost;
  readonly log: Lines = linesOf();
  seat!: Seat;
  port: FakePort;
  /** Commits are acknowledged in the tick in which they come. */
  acknowledge = true;
  /** Called with everything that is sent, on whatever port. */
  onSend: ((m: ActorOutMessage) => void) | undefined;
  #seen = 0;
  #id = 0;
  #pendingAcks: Commit[] = [];

  constructor(def: Definition, session: SessionOptions = {}, options: Partial<HostOptions> = {}) {
    this.host = createHost({ thing: def }, { log: this.log, ...options });
    this.port = this.listen(new FakePort(7, session));
  }

  listen(port: FakePort): FakePort {
    port.onSend = (m) => {
      this.onSend?.(m);
      if (m.kind !== "commit") return;
      this.#pendingAcks.push(m);
      if (this.acknowledge) queueMicrotask(() => this.ack());
    };
    return port;
  }

  /** ack answers the unanswered commit. */
  ack(error?: Extract<ActorMessage, { kind: "commitResult" }>["error"]): void {
    const commit = this.#pendingAcks.shift();
    if (commit !== undefined) this.say({ kind: "commitResult", actor: commit.actor, version: commit.version, error });
  }

  start(fields: Partial<StartActor> = {}): this {
    const m: StartActor = {
      kind: "startActor", actor: this.port.ref, id: "here-1", namespace: "default", type: "thing", key: ["a", "b"], generation: 1,
      nonce: new Uint8Array(16), version: fields.create === false ? 3 : 0, create: true, input: undefined, state: undefined,
      deadlineMs: 10_000, nowMs: 0, restoredConnections: 0, attempt: 0, trace: new Uint8Array(), region: "here", goneConnections: [],
      ...fields,
    };
    this.seat = this.host.start(m, this.port);
    return this;
  }

  say(m: ActorMessage): void {
    this.seat.receive(m);
  }

  /** The id that the next call or open gets. */
  get nextId(): number {
    return this.#id + 1;
  }

  /** call delivers a call and gives its id. */
  call(action: string, args: unknown[] = [], fields: Partial<Call> = {}): number {
    const id = ++this.#id;
    this.say({
      kind: "call", actor: this.port.ref, id, action, args: encode(args), connection: 0, deadlineMs: 0, principal: 0, idempotencyKey: new Uint8Array(),
      attempt: 0, trace: new Uint8Array(), tracestate: "", alarm: undefined, oneway: false, nowMs: 0, ...fields,
    });
    return id;
  }

  /** open opens a connection; its id is `c` and the ref, the call's is the answer. */
  open(ref: number, params?: unknown, fields: Partial<ConnectionOpen> = {}): number {
    const call = fields.restored === true ? 0 : ++this.#id;
    this.say(this.opening(ref, params, { call, ...fields }));
    return call;
  }

  opening(ref: number, params?: unknown, fields: Partial<ConnectionOpen> = {}): ConnectionOpen {
    return {
      kind: "connectionOpen", actor: this.port.ref, call: 0, connection: ref, params: params === undefined ? new Uint8Array() : encode(params),
      claims: new Uint8Array(), principal: 0, state: undefined, subscriptions: [], restored: false, transport: "websocket", trace: new Uint8Array(),
      connectionId: `c${ref}`, deadlineMs: 0, ...fields,
    };
  }

  closed(ref: number): void {
    this.say({ kind: "connectionClose", actor: this.port.ref, connection: ref, code: "connection.closed", reason: "" });
  }

  stop(reason: StopReason, graceMs = 15_000): void {
    this.say({ kind: "stopActor", actor: this.port.ref, reason, graceMs });
  }

  /** lose takes the session away; the answer is what the actor offers. */
  lose() {
    this.#pendingAcks = [];
    return this.seat.adrift();
  }

  adopt(fields: Partial<Adopted> = {}, session: SessionOptions = {}): void {
    const old = this.port.ref;
    this.port = this.listen(new FakePort(old + 100, session));
    this.#seen = 0;
    this.seat.adopted(
      { kind: "adopted", old, actor: this.port.ref, generation: 2, nonce: new Uint8Array(16).fill(1), version: 0, restoredConnections: 0, error: undefined, ...fields },
      this.port,
    );
  }

  /** news is what was sent since it was asked last, in short. */
  news(): string[] {
    const from = this.#seen;
    this.#seen = this.port.sent.length;
    return this.port.sent.slice(from).map(short);
  }

  /** results of the calls so far, by id. */
  result(id: number): { output?: unknown; error?: string; message?: string; notRun?: boolean } | undefined {
    for (const m of this.port.sent) {
      if (m.kind !== "callResult" || m.id !== id) continue;
      const { output, error, notRun } = m;
      return {
        ...(output === undefined ? {} : { output: decode(output) }),
        ...(error === undefined ? {} : { error: `${error.group}.${error.code}`, message: error.message }),
        ...(notRun === true ? { notRun } : {}),
      };
    }
    return undefined;
  }

  get commits(): Commit[] {
    return this.port.sent.filter((m) => m.kind === "commit");
  }
}

/** changesOf is what a commit says. */
export function changesOf(m: Commit | undefined): Changes {
  if (m === undefined) throw new Error("there is no commit");
  return fromBinary(ChangesSchema, m.changes);
}

export function stateOf(m: Commit | undefined): unknown {
  const { state } = changesOf(m);
  return state === undefined ? undefined : decode(state);
}

function short(m: ActorOutMessage): string {
  switch (m.kind) {
    case "commit":
      return `commit ${m.version} +${m.outputs} ${describe(changesOf(m))}`.trimEnd();
    case "callResult":
      return `result ${m.id}${m.error === undefined ? (m.output === undefined ? "" : ` ${JSON.stringify(decode(m.output))}`) : ` ${m.error.group}.${m.error.code}`}`;
    case "emit":
      return `emit ${m.event}${m.to === undefined ? "" : ` to ${m.to.join()}`} ${JSON.stringify(decode(m.args))}${m.unreliable === true ? " unreliable" : ""}`;
    case "connectionState":
      return `connState ${m.connection} ${JSON.stringify(decode(m.state))}`;
    case "connectionClose":
      return `close ${m.connection} ${m.code} ${m.reason}`.trimEnd();
    case "actorStopped":
      return `stopped ${m.outcome}${m.error === undefined ? "" : ` ${m.error.group}.${m.error.code}`}`;
    case "actorIntent":
      return `intent ${m.intent}`;
    case "kvRead":
      return `read ${m.keys?.map((key) => Buffer.from(key).toString()).join() ?? "range"}`;
    default:
      return m.kind === "actorReady" ? "ready" : "fence";
  }
}

function describe(c: Changes): string {
  const parts: string[] = [];
  if (c.state !== undefined) parts.push(`state ${JSON.stringify(decode(c.state))}`);
  for (const op of c.kv) {
    const key = Buffer.from(op.key).toString();
    parts.push(op.value !== undefined ? `put ${key}` : op.deleteUntil !== undefined ? `deleteRange ${key}` : `delete ${key}`);
  }
  if (c.connectionsAdded.length > 0) parts.push(`added ${c.connectionsAdded.join()}`);
  if (c.connectionsRemoved.length > 0) parts.push(`removed ${c.connectionsRemoved.join()}`);
  if (c.destroy) parts.push("destroy");
  return parts.join(", ");
}

/** tick waits for the end of the tick, and for what follows from it. */
export async function tick(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    if (vi.isFakeTimers()) await vi.advanceTimersByTimeAsync(0);
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

/** begin starts an actor and forgets what its start has sent. */
export async function begin(def: Definition, session: SessionOptions = {}, fields: Partial<StartActor> = {}): Promise<Stage> {
  const stage = new Stage(def, session).start(fields);
  await tick();
  stage.news();
  return stage;
}

export { eventCost };
