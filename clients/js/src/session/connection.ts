import type { Target } from "../address.ts";
import { raise, withRan } from "../error.ts";
import type { ActorError } from "../error.ts";
import type { ConnStatus } from "../types.ts";
import type { Call } from "./call.ts";
import type { Channel } from "./channel.ts";
import { Fifo } from "./fifo.ts";
import { Inbox } from "./inbox.ts";

/**
 * Phase is how far a connection has come in the present session.
 * - `detached`: it opens with the next session.
 * - `preparing`: its params are being made.
 * - `waiting`: it opens when its pause is over.
 * - `opening`: ConnectionOpen is on its way.
 * - `open`, `closed`: over for good.
 */
export type Phase = "detached" | "preparing" | "waiting" | "opening" | "open" | "closed";

/** Subscription is an event that has handlers. */
export interface Subscription {
  /** The gateway does not have it; it is not asked for again while these handlers stay. */
  refused: boolean;
  /** Of the last Subscribe. */
  id: number;
}

/** Connection is what the session knows of one connection. Whatever changes it is in connections.ts and subscriptions.ts. */
export class Connection {
  readonly target: Target;
  /** makeParams is the CBOR of the params of one opening; it may throw. */
  readonly makeParams: () => Uint8Array | undefined | Promise<Uint8Array | undefined>;
  readonly inbox = new Inbox();

  phase: Phase = "detached";
  status: ConnStatus = "connecting";
  /** undefined: it is neither opening nor open. */
  channel: Channel | undefined;
  /** Calls that wait for it to open. */
  readonly held = new Fifo<Call>();
  /** Events with handlers. */
  readonly wanted = new Map<string, Subscription>();
  /** Events that the gateway was asked for, on this opening. */
  readonly asked = new Set<string>();
  /** An open with all events was refused for one of them: subscribe one by one. */
  apart = false;
  /** Openings in a row that did not last. */
  attempts = 0;
  openedAt = 0;
  /** Counts the times that its opening began anew, so that late answers are known. */
  turn = 0;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** Why it is over; undefined: it was disposed, or is not over. */
  error: ActorError | undefined;
  /** Why it is not open. */
  fault: ActorError | undefined;

  constructor(target: Target, makeParams: Connection["makeParams"]) {
    this.target = target;
    this.makeParams = makeParams;
  }

  /** closedError is what calls on a connection that is over get. */
  closedError(): ActorError {
    return this.error === undefined ? raise("connection.closed", "", { ran: "no" }) : withRan(this.error, "no");
  }

  setStatus(status: ConnStatus): void {
    if (this.status === status) return;
    this.status = status;
    this.inbox.tellStatus(status);
  }
}
