// The messages of the cold path, written by the generated code.
import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { ErrorSchema, GoodbyeSchema, Ran, Reconnect, UnsupportedSchema } from "../gen/stagedoor/common/v1alpha1/common_pb.ts";
import {
  ActorIntentSchema,
  ActorReadySchema,
  ActorStoppedSchema,
  Concurrency,
  ConnectionCloseSchema,
  ConnectionStateSchema,
  DrainSchema,
  Durability,
  FenceReachedSchema,
  HelloSchema,
  HostedSchema,
  Intent,
  StopOutcome,
} from "../gen/stagedoor/runner/v1alpha1/runner_pb.ts";
import type {
  ActorIntent,
  ActorReady,
  ActorStopped,
  ActorTypeInfo,
  ConnectionClose,
  ConnectionState,
  Drain,
  FenceReached,
  Goodbye,
  Hello,
  Hosted,
  Unsupported,
  WireError,
} from "./messages.ts";

/** ColdOut are the messages that encodeCold writes. */
export type ColdOut =
  | ActorIntent
  | ActorReady
  | ActorStopped
  | ConnectionClose
  | ConnectionState
  | Drain
  | FenceReached
  | Goodbye
  | Hello
  | Hosted
  | Unsupported;

const outcomes = {
  "": StopOutcome.UNSPECIFIED,
  slept: StopOutcome.SLEPT,
  destroyed: StopOutcome.DESTROYED,
  crashed: StopOutcome.CRASHED,
  fenced: StopOutcome.FENCED,
  startFailed: StopOutcome.START_FAILED,
} as const;
const intents = { "": Intent.UNSPECIFIED, sleep: Intent.SLEEP, destroy: Intent.DESTROY } as const;
const reconnects = { "": Reconnect.UNSPECIFIED, same: Reconnect.SAME, any: Reconnect.ANY, never: Reconnect.NEVER } as const;
const rans = { "": Ran.UNSPECIFIED, no: Ran.NO, yes: Ran.YES, maybe: Ran.MAYBE } as const;
const durabilities = {
  "": Durability.UNSPECIFIED,
  volatile: Durability.VOLATILE,
  fast: Durability.FAST,
  disk: Durability.DISK,
  replicated: Durability.REPLICATED,
} as const;
const concurrencies = {
  "": Concurrency.UNSPECIFIED,
  serial: Concurrency.SERIAL,
  interleaved: Concurrency.INTERLEAVED,
} as const;

/** encodeCold gives the message without envelope. */
export function encodeCold(m: ColdOut): Uint8Array {
  switch (m.kind) {
    case "actorReady":
      return bytesOf(ActorReadySchema, { actor: BigInt(m.actor) });
    case "actorStopped":
      return bytesOf(ActorStoppedSchema, { actor: BigInt(m.actor), outcome: outcomes[m.outcome], ...errorOf(m.error) });
    case "actorIntent":
      return bytesOf(ActorIntentSchema, { actor: BigInt(m.actor), intent: intents[m.intent] });
    case "connectionClose":
      return bytesOf(ConnectionCloseSchema, { ...actorConnection(m), code: m.code, reason: m.reason });
    case "connectionState":
      return bytesOf(ConnectionStateSchema, { ...actorConnection(m), state: own(m.state) });
    case "fenceReached":
      return bytesOf(FenceReachedSchema, { nonce: m.nonce, actor: BigInt(m.actor) });
    case "drain":
      return bytesOf(DrainSchema, { deadlineMs: m.deadlineMs, code: m.code });
    case "unsupported":
      return bytesOf(UnsupportedSchema, { kind: m.number, number: BigInt(m.id) });
    case "goodbye":
      return bytesOf(GoodbyeSchema, { ...m, reconnect: reconnects[m.reconnect] });
    case "hosted":
      return encodeHosted(m);
    case "hello":
      return encodeHello(m);
  }
}

function encodeHosted(m: Hosted): Uint8Array {
  const actors = m.actors.map((a) => ({
    id: a.id,
    generation: BigInt(a.generation),
    nonce: own(a.nonce),
    version: BigInt(a.version),
    actor: BigInt(a.actor),
    pending: own(a.pending),
  }));
  return bytesOf(HostedSchema, { actors, last: m.last });
}

function encodeHello(m: Hello): Uint8Array {
  const { resume } = m;
  return bytesOf(HelloSchema, {
    protocolMin: m.protocolMin,
    protocolMax: m.protocolMax,
    features: [...m.features],
    token: m.token,
    pool: m.pool,
    instance: m.instance,
    runnerVersion: BigInt(m.runnerVersion),
    region: m.region,
    labels: { ...m.labels },
    sdk: m.sdk,
    sdkVersion: m.sdkVersion,
    types: m.types.map(typeOf),
    hosting: m.hosting,
    ...(resume === undefined ? {} : { resume: { session: own(resume.session), received: BigInt(resume.received) } }),
  });
}

function typeOf(t: ActorTypeInfo) {
  return {
    name: t.name,
    durability: durabilities[t.durability ?? ""],
    concurrency: concurrencies[t.concurrency ?? ""],
    sleepAfterMs: t.sleepAfterMs ?? 0,
    stayAwake: t.stayAwake ?? false,
    maxCalls: t.maxCalls ?? 0,
    events: [...(t.events ?? [])],
  };
}

function actorConnection(m: { actor: number; connection: number }) {
  return { actor: BigInt(m.actor), connection: BigInt(m.connection) };
}

function errorOf(e: WireError | undefined) {
  if (e === undefined) return {};
  const { group, code, message, metadata, retryable, ran, retryAfterMs } = e;
  const error = create(ErrorSchema, { group, code, message, retryable, ran: rans[ran], retryAfterMs });
  if (metadata !== undefined) error.metadata = own(metadata);
  return { error };
}

/** The generated types take bytes over an ArrayBuffer of their own kind; ours are never shared. */
function own(b: Uint8Array): Uint8Array<ArrayBuffer> {
  return b as Uint8Array<ArrayBuffer>;
}

function bytesOf<T extends DescMessage>(schema: T, init: MessageInitShape<T>): Uint8Array {
  return toBinary(schema, create(schema, init));
}
