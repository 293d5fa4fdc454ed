// What gateway and runner say of one actor.

export type Ran = "" | "no" | "yes" | "maybe";

/** WireError is the one form in which a failure crosses a socket [ERR-1]. */
export interface WireError {
  group: string;
  code: string;
  /** For people; never parsed. At most 4 KiB. */
  message: string;
  /** One CBOR value. */
  metadata?: Uint8Array | undefined;
  retryable: boolean;
  /** Whether user code ran for the failed request. */
  ran: Ran;
  /** 0: no hint. */
  retryAfterMs: number;
}

export interface KvEntry {
  key: Uint8Array;
  /** undefined: there is none. */
  value: Uint8Array | undefined;
}

/** KvRange is [from, until) in byte order; without `until` to the end. */
export interface KvRange {
  from: Uint8Array;
  until?: Uint8Array | undefined;
}

// Gateway to runner, about one actor.

/** Call delivers an action; it is ended by exactly one CallResult, also when it is one-way. */
export interface Call {
  kind: "call";
  actor: number;
  id: number;
  action: string;
  /** CBOR array. */
  args: Uint8Array;
  /** Ref of the calling connection; 0: none. */
  connection: number;
  /** What remains; 0: none. */
  deadlineMs: number;
  /** Ref for SessionInfo.principal; 0: anonymous. */
  principal: number;
  idempotencyKey: Uint8Array;
  /** 0: the first delivery. */
  attempt: number;
  /** Trace id, parent id, flags: 25 bytes; empty: none. */
  trace: Uint8Array;
  tracestate: string;
  alarm: Alarm | undefined;
  oneway: boolean;
  nowMs: number;
}

export interface Alarm {
  schedule: string;
  fire: number;
  scheduledAtMs: number;
  resumed: boolean;
}

export type CancelReason = "" | "caller" | "deadline" | "disconnected" | "stopping";

/** CancelCall: nobody waits for the call or open any more. Its CallResult still comes. */
export interface CancelCall {
  kind: "cancelCall";
  actor: number;
  id: number;
  reason: CancelReason;
}

/** CommitResult answers a Commit. With an error the actor is over: no hook runs, nothing is sent. */
export interface CommitResult {
  kind: "commitResult";
  actor: number;
  version: number;
  error: WireError | undefined;
}

export interface KvResult {
  kind: "kvResult";
  actor: number;
  id: number;
  entries: KvEntry[];
  /** The range goes on behind the last entry. */
  more: boolean;
  error: WireError | undefined;
}

/** StartActor brings an actor to life; `restoredConnections` restored ConnectionOpens follow it before any call. */
export interface StartActor {
  kind: "startActor";
  actor: number;
  id: string;
  namespace: string;
  type: string;
  key: string[];
  generation: number;
  nonce: Uint8Array;
  /** Of the last applied commit; 0: none yet. */
  version: number;
  create: boolean;
  input: Uint8Array | undefined;
  state: Uint8Array | undefined;
  deadlineMs: number;
  nowMs: number;
  restoredConnections: number;
  /** Starts that failed in a row before this one. */
  attempt: number;
  trace: Uint8Array;
  region: string;
  goneConnections: GoneConnection[];
}

/** GoneConnection is a connection whose onDisconnect is still owed [CONN-7]. */
export interface GoneConnection {
  connectionId: string;
  params: Uint8Array;
  state: Uint8Array | undefined;
}

export type StopReason = "" | "sleep" | "destroy" | "migrate" | "drain" | "fenced";

export interface StopActor {
  kind: "stopActor";
  actor: number;
  reason: StopReason;
  graceMs: number;
}

/** ConnectionOpen is answered by a CallResult with id `call`, unless it is restored [CONN-6]. */
export interface ConnectionOpen {
  kind: "connectionOpen";
  actor: number;
  call: number;
  connection: number;
  /** CBOR value; empty: none. */
  params: Uint8Array;
  claims: Uint8Array;
  principal: number;
  state: Uint8Array | undefined;
  subscriptions: string[];
  restored: boolean;
  transport: string;
  trace: Uint8Array;
  connectionId: string;
  deadlineMs: number;
}

/** ConnectionClose: from the gateway, the client has left; from the runner, the actor disconnects it (an output). */
export interface ConnectionClose {
  kind: "connectionClose";
  actor: number;
  connection: number;
  /** group.code of the registry. */
  code: string;
  reason: string;
}

/** Fence with an actor is an empty turn of that actor, answered by FenceReached. */
export interface Fence {
  kind: "fence";
  nonce: bigint;
  /** 0: of the link. */
  actor: number;
}

/** Adopted answers a HostedActor. Without error the runner is the actor's owner again [LEASE-4]. */
export interface Adopted {
  kind: "adopted";
  old: number;
  actor: number;
  generation: number;
  nonce: Uint8Array;
  version: number;
  restoredConnections: number;
  error: WireError | undefined;
}

// Runner to gateway, about one actor.

/** CallResult ends a Call or a ConnectionOpen: an output. */
export interface CallResult {
  kind: "callResult";
  actor: number;
  id: number;
  /** CBOR value; undefined: no value. */
  output?: Uint8Array | undefined;
  error?: WireError | undefined;
  /** User code never began: the gateway may give the call to somebody else. */
  notRun?: boolean | undefined;
}

/** Commit is the only write an actor makes; `outputs` outputs that follow it belong to its flush [GATE-2]. */
export interface Commit {
  kind: "commit";
  actor: number;
  version: number;
  /** Of encodeChanges; sent again byte for byte. */
  changes: Uint8Array;
  outputs: number;
}

/** Emit sends an event: an output. Without `to` it goes to the connections subscribed to it, with `all` to every one. */
export interface Emit {
  kind: "emit";
  actor: number;
  event: string;
  to?: readonly number[] | undefined;
  /** CBOR array. */
  args: Uint8Array;
  except?: readonly number[] | undefined;
  all?: boolean | undefined;
  unreliable?: boolean | undefined;
}

/** ConnectionState keeps a connection's state for the next generation: an output. */
export interface ConnectionState {
  kind: "connectionState";
  actor: number;
  connection: number;
  state: Uint8Array;
}

/** KvRead asks for keys or for a range. */
export interface KvRead {
  kind: "kvRead";
  actor: number;
  id: number;
  keys?: readonly Uint8Array[] | undefined;
  range?: KvRange | undefined;
  reverse?: boolean | undefined;
  limit?: number | undefined;
  maxBytes?: number | undefined;
}

export interface ActorReady {
  kind: "actorReady";
  actor: number;
}

export type StopOutcome = "" | "slept" | "destroyed" | "crashed" | "fenced" | "startFailed";

/** ActorStopped is the actor's last frame. */
export interface ActorStopped {
  kind: "actorStopped";
  actor: number;
  outcome: StopOutcome;
  error?: WireError | undefined;
}

export interface ActorIntent {
  kind: "actorIntent";
  actor: number;
  intent: "" | "sleep" | "destroy";
}

export interface FenceReached {
  kind: "fenceReached";
  nonce: bigint;
  actor: number;
}

/** Part carries a frame of more than 64 KiB [LINK-3]. */
export interface Part {
  kind: "part";
  actor: number;
  data: Uint8Array;
  last: boolean;
}
