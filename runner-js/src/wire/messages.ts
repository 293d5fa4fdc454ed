// The messages of the runner protocol as plain objects. Refs, ids, versions, offsets and times are numbers (at most
// 2^53 - 1 [FRAME-7]), nonces bigints, enums string literals: "" is UNSPECIFIED, and what an unknown value reads as [FRAME-4].
// In a decoded message every field is there. Byte fields of the hot messages (Call, CallResult, Commit, CommitResult, Emit,
// Part, KvResult) alias what was read: whoever keeps a few bytes for long copies them. All others own their bytes.
import type {
  ActorIntent,
  ActorReady,
  ActorStopped,
  Call,
  CallResult,
  CancelCall,
  Commit,
  CommitResult,
  ConnectionClose,
  ConnectionOpen,
  ConnectionState,
  Emit,
  Fence,
  FenceReached,
  KvRead,
  KvResult,
  StopActor,
} from "./actor-messages.ts";

export type * from "./actor-messages.ts";
export type * from "./link-messages.ts";

/** ActorMessage is what the gateway says to one actor. */
export type ActorMessage =
  | Call
  | CancelCall
  | CommitResult
  | KvResult
  | StopActor
  | ConnectionOpen
  | ConnectionClose
  | Fence;

/** ActorOutMessage is what an actor says. */
export type ActorOutMessage =
  | CallResult
  | Commit
  | Emit
  | ConnectionClose
  | ConnectionState
  | KvRead
  | ActorReady
  | ActorStopped
  | ActorIntent
  | FenceReached;

// What a commit applies.

/** KvOp: with `value` put; with `deleteUntil` delete [key, deleteUntil), an empty one to the end; with neither delete key. */
export interface KvOp {
  key: Uint8Array;
  value?: Uint8Array | undefined;
  deleteUntil?: Uint8Array | undefined;
}

/** Changes is what one commit applies, in one atomic step. */
export interface Changes {
  /** CBOR value; undefined: unchanged. */
  state?: Uint8Array | undefined;
  kv?: readonly KvOp[] | undefined;
  /** Ids of connections whose accept, or whose onDisconnect, this commit covers [CONN-7]. */
  connectionsAdded?: readonly string[] | undefined;
  connectionsRemoved?: readonly string[] | undefined;
  destroy?: boolean | undefined;
}
