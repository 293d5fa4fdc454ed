import type { Target } from "../address.ts";
import { raise } from "../error.ts";
import type { ActorError, Ran } from "../error.ts";
import type { Draft } from "../wire/messages.ts";
import type { Channel } from "./channel.ts";
import type { Connection } from "./connection.ts";

/** overheadBytes is what a frame that waits or is kept counts beyond its arguments. */
export const overheadBytes = 256;

/**
 * CallState is how far a call has come.
 * - `queued`: not given to a socket; it may wait for any number of them.
 * - `written`: given to a socket of the present session.
 * - `done`: the caller has its outcome, or has given up.
 */
export type CallState = "queued" | "written" | "done";

/** Outcome is told once. output undefined: the action returned nothing. */
export type Outcome = (error: ActorError | undefined, output: Uint8Array | undefined) => void;

/** Call is an action on its way. */
export class Call {
  readonly target: Target;
  /** undefined: a call without connection. */
  readonly conn: Connection | undefined;
  readonly action: string;
  /** CBOR; undefined: none. */
  readonly args: Uint8Array | undefined;
  /** On the clock of now(); undefined: the gateway's default holds. */
  readonly deadline: number | undefined;
  readonly since: number;
  readonly settle: Outcome;

  state: CallState = "queued";
  /** Of the session that it was last written in, like the next two. */
  id = 0;
  channel: Channel | undefined;
  /** It stands in channel.kept. */
  kept = false;

  constructor(fields: Pick<Call, "target" | "conn" | "action" | "args" | "deadline" | "settle">) {
    this.target = fields.target;
    this.conn = fields.conn;
    this.action = fields.action;
    this.args = fields.args;
    this.deadline = fields.deadline;
    this.settle = fields.settle;
    this.since = now();
  }

  get weight(): number {
    return (this.args?.length ?? 0) + overheadBytes;
  }

  /** message is the call as it is written now, with the time that is left to it. */
  message(): Draft {
    const base = {
      kind: "call",
      id: this.id,
      action: this.action,
      args: this.args,
      deadlineMs: this.deadline === undefined ? 0 : Math.min(Math.max(1, Math.ceil(this.deadline - now())), 2 ** 32 - 1),
    } as const;
    if (this.conn !== undefined) return { ...base, connection: this.channel?.number };
    const { address, id, mode, input } = this.target;
    return { ...base, target: address, targetId: id, mode, input };
  }
}

/** now is in milliseconds, and never set back. */
export function now(): number {
  return performance.now();
}

/** interrupted is the error of a call that its caller gave up. unreachable, if any, is why no session was there for it. */
export function interrupted(reason: unknown, ran: Ran, unreachable: unknown): ActorError {
  const late = reason instanceof DOMException && reason.name === "TimeoutError";
  if (!late) return raise("action.canceled", "", { ran, cause: reason });
  if (unreachable === undefined || ran !== "no") return raise("action.timed_out", "", { ran, cause: reason });
  return raise("client.unreachable", `The gateway could not be reached in time: ${textOf(unreachable)}`, { ran, cause: unreachable });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
