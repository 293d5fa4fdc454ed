// What stands between the link and the host of the actors. The link owns the socket, the session and the refs; the host owns
// the actors. Everything here is called on one thread and never blocks.
import type { Feature } from "../wire/features.ts";
import type {
  ActorMessage,
  ActorOutMessage,
  ActorTypeInfo,
  Adopted,
  HostedActor,
  Limits,
  StartActor,
} from "../wire/messages.ts";

export type { Feature } from "../wire/features.ts";
export type { LinkLog } from "./log.ts";

/** Host makes actors. */
export interface Host {
  /** For Hello. */
  readonly types: readonly ActorTypeInfo[];
  /** start begins an incarnation of a type that `types` names. It may send on the port, and close it, before it returns. */
  start(m: StartActor, port: Port): Seat;
}

/** Seat is one incarnation of an actor, as the link sees it. No method throws. */
export interface Seat {
  /** receive takes what the gateway says to the actor, in order. */
  receive(m: ActorMessage): void;
  /** writable: credit or room has come. Port.spend is to be tried again before it returns, or the place in the line is lost. */
  writable(): void;
  /**
   * adrift: the session is lost. The answer is what to offer to the next one [LEASE-4]; undefined: the actor is dropped
   * without hooks, and nothing more is said of it. It is also asked again when the next session is lost before it adopted the
   * actor. Until adopted, nothing that is sent on the old port arrives; its close takes back the offer.
   */
  adrift(): HostedActor | undefined;
  /** adopted: the offer was taken; the actor goes on under the port and generation of now. A refusal is a drop. */
  adopted(m: Adopted, port: Port): void;
  /** leased: a lease that was over its margin is renewed. Turns may begin again [LEASE-2]. */
  leased(): void;
  /** drop ends the incarnation without hooks. Nothing is called after it. */
  drop(): void;
}

/** Port is an actor's place on the link. Adoption gives it another one. */
export interface Port {
  /** The actor's ref in this session; it stands in every message that is sent. */
  readonly ref: number;
  readonly session: SessionInfo;
  /**
   * send queues a message in the actor's FIFO [LINK-3]. The message and its bytes belong to the link from now on. What is
   * sent in one go without await is contiguous: so are groups made [GATE-2].
   */
  send(m: ActorOutMessage): void;
  /**
   * spend takes the credit for the events of one group, together at most SessionInfo.maxEventCost [LINK-18] [GATE-4]. false:
   * nothing was taken; try again in Seat.writable.
   */
  spend(cost: number): boolean;
  /** close gives the ref back: behind ActorStopped, or because the actor is over while adrift. Later calls do nothing. */
  close(): void;
}

/** SessionInfo is what the gateway said in Welcome. */
export interface SessionInfo {
  readonly limits: Limits;
  readonly features: ReadonlySet<Feature>;
  /** What user code throws may leave the runner [ERR-3]. */
  readonly development: boolean;
  readonly region: string;
  readonly timeouts: SessionTimeouts;
  /** Cost of the events of one actor that may be under way. */
  readonly eventWindow: number;
  /** Cost of the events of one group, at most [GATE-4]. */
  readonly maxEventCost: number;
  /** leaseValid tells whether a turn may begin now [LEASE-2]. To be asked at the beginning of each. */
  leaseValid(): boolean;
  /** principal is the caller that a ref in a Call or ConnectionOpen stands for; undefined: anonymous. */
  principal(ref: number): PrincipalInfo | undefined;
}

/** SessionTimeouts are the gateway's defaults. */
export interface SessionTimeouts {
  readonly actionMs: number;
  readonly startMs: number;
  readonly stopMs: number;
  readonly hookMs: number;
  readonly sleepAfterMs: number;
}

/** PrincipalInfo is who calls. */
export interface PrincipalInfo {
  /** client, runner or admin. */
  readonly kind: string;
  readonly subject: string;
  /** CBOR value; empty: none. */
  readonly claims: Uint8Array;
}

/** eventCost is what an Emit costs of the credit [LINK-18]; the name is measured in bytes of UTF-8. */
export function eventCost(event: string, args: Uint8Array): number {
  return 64 + Buffer.byteLength(event) + args.byteLength;
}
