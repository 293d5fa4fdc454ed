// What gateway and runner say of the link and of all its actors.

export type Durability = "" | "volatile" | "fast" | "disk" | "replicated";
export type Concurrency = "" | "serial" | "interleaved";

/** ActorTypeInfo is what Hello says of a type. */
export interface ActorTypeInfo {
  name: string;
  /** "": the store's default. */
  durability?: Durability | undefined;
  concurrency?: Concurrency | undefined;
  sleepAfterMs?: number | undefined;
  stayAwake?: boolean | undefined;
  /** Calls outstanding at once per actor; 0: the gateway's limit. */
  maxCalls?: number | undefined;
  /** Not empty: subscribing to another event is event.not_found. */
  events?: readonly string[] | undefined;
}

export interface Hello {
  kind: "hello";
  protocolMin: number;
  protocolMax: number;
  features: readonly string[];
  token: string;
  pool: string;
  instance: string;
  runnerVersion: number;
  region: string;
  labels: Readonly<Record<string, string>>;
  sdk: string;
  sdkVersion: string;
  types: readonly ActorTypeInfo[];
  resume?: { session: Uint8Array; received: number } | undefined;
  hosting: boolean;
}

/** Limits of the gateway for this runner, in bytes, or a count where the name says calls, reads, operations, outputs or connections. */
export interface Limits {
  readonly maxMessage: number;
  readonly maxCallsPerActor: number;
  readonly maxState: number;
  readonly maxKvKey: number;
  readonly maxKvValue: number;
  readonly maxKvBatch: number;
  readonly maxKvOperations: number;
  readonly maxCommit: number;
  readonly maxOutput: number;
  readonly maxEvent: number;
  readonly maxErrorMetadata: number;
  readonly maxConnectionState: number;
  readonly maxReadsPerActor: number;
  readonly maxGroupOutputs: number;
  readonly maxGroupBytes: number;
  readonly maxHeldBytes: number;
  readonly maxUnackedBytes: number;
  readonly eventWindow: number;
  readonly linkWindow: number;
  readonly maxConnectionsPerActor: number;
}

export interface Welcome {
  kind: "welcome";
  protocol: number;
  features: string[];
  session: Uint8Array;
  runner: string;
  leaseMs: number;
  marginMs: number;
  pingMs: number;
  lostMs: number;
  /** 0 where the gateway did not say. */
  limits: Limits;
  nowMs: number;
  /** Set: the session is resumed. */
  resumedReceived: number | undefined;
  region: string;
  backoffMinMs: number;
  backoffMaxMs: number;
  development: boolean;
  gateway: string;
  timeoutsMs: Record<string, number>;
  resumeMs: number;
}

export interface Reject {
  kind: "reject";
  code: string;
  message: string;
  retryable: boolean;
  protocolMin: number;
  protocolMax: number;
  retryAfterMs: number;
}

/** Principal binds a ref to a caller before its first use. */
export interface Principal {
  kind: "principal";
  principal: number;
  /** client, runner or admin. */
  principalKind: string;
  subject: string;
  /** CBOR value; empty: none. */
  claims: Uint8Array;
  gone: boolean;
}

export interface Drain {
  kind: "drain";
  deadlineMs: number;
  code: string;
}

/** HostedActor is an actor of a lost session that the runner still has in memory. */
export interface HostedActor {
  id: string;
  generation: number;
  nonce: Uint8Array;
  /** Of the last acknowledged commit. */
  version: number;
  /** Ref in the lost session. */
  actor: number;
  /** Commit id of the unanswered commit; empty: there is none. */
  pending: Uint8Array;
}

export interface Hosted {
  kind: "hosted";
  actors: readonly HostedActor[];
  last: boolean;
}

export interface Unsupported {
  kind: "unsupported";
  /** Field number in Frame. */
  number: number;
  /** The offending frame's id field, or 0. */
  id: number;
}

export interface Ping {
  kind: "ping";
  nonce: bigint;
}

export interface Pong {
  kind: "pong";
  nonce: bigint;
  /** 0: the lease is not renewed by this Pong. */
  leaseMs: number;
  nowMs: number;
}

export interface Ack {
  kind: "ack";
  received: number;
}

export interface Resumed {
  kind: "resumed";
  next: number;
}

export interface Credit {
  kind: "credit";
  /** 0: of all actors together. */
  actor: number;
  stream: number;
  offset: number;
}

export type Reconnect = "" | "same" | "any" | "never";

export interface Goodbye {
  kind: "goodbye";
  code: string;
  message: string;
  retryAfterMs: number;
  reconnect: Reconnect;
  address: string;
}
