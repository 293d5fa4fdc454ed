// The messages of the hot path, written by hand, fields in ascending order.
import type { Ack, CallResult, Commit, Emit, KvRead, Part, Ping, Pong, Resumed, WireError } from "./messages.ts";
import type { Writer } from "./writer.ts";

const rans = { "": 0, no: 1, yes: 2, maybe: 3 } as const;

/** About how many bytes the numbers and tags of a message take. */
const OVERHEAD = 24;

export function encodeCallResult(w: Writer, m: CallResult): void {
  w.uint(1, m.actor);
  w.uint(2, m.id);
  if (m.output !== undefined) w.present(4, m.output);
  if (m.error !== undefined) encodeError(w, 5, m.error);
  w.bool(6, m.notRun);
}

export function encodeError(w: Writer, field: number, e: WireError): void {
  const hint = errorHint(e);
  const mark = w.open(field, hint);
  w.string(1, e.group);
  w.string(2, e.code);
  w.string(3, e.message);
  w.bytes(4, e.metadata);
  w.bool(5, e.retryable);
  w.uint(6, rans[e.ran]);
  w.uint(7, e.retryAfterMs);
  w.close(mark, hint);
}

export function encodeCommit(w: Writer, m: Commit): void {
  w.uint(1, m.actor);
  w.uint(2, m.version);
  w.bytes(3, m.changes);
  w.uint(4, m.outputs);
}

export function encodeEmit(w: Writer, m: Emit): void {
  w.uint(1, m.actor);
  w.string(2, m.event);
  w.packed(3, m.to);
  w.bytes(4, m.args);
  w.packed(5, m.except);
  w.bool(6, m.all);
  w.bool(7, m.unreliable);
}

export function encodePart(w: Writer, m: Part): void {
  w.uint(1, m.actor);
  w.bytes(4, m.data);
  w.bool(5, m.last);
}

export function encodeKvRead(w: Writer, m: KvRead): void {
  w.uint(1, m.actor);
  w.uint(2, m.id);
  for (const key of m.keys ?? []) w.present(3, key);
  if (m.range !== undefined) {
    const hint = m.range.from.length + (m.range.until?.length ?? 0) + 8;
    const mark = w.open(4, hint);
    w.bytes(1, m.range.from);
    if (m.range.until !== undefined) w.present(2, m.range.until);
    w.close(mark, hint);
  }
  w.bool(5, m.reverse);
  w.uint(6, m.limit);
  w.uint(7, m.maxBytes);
}

export function encodePing(w: Writer, m: Ping): void {
  w.bigint(1, m.nonce);
}

export function encodePong(w: Writer, m: Pong): void {
  w.bigint(1, m.nonce);
  w.uint(2, m.leaseMs);
  w.uint(3, m.nowMs);
}

export function encodeAck(w: Writer, m: Ack): void {
  w.uint(1, m.received);
}

export function encodeResumed(w: Writer, m: Resumed): void {
  w.uint(1, m.next);
}

/** sizeHint is about how long the encoded message is; what it says decides nothing but how much is moved. */
export function sizeHint(m: { kind: string }): number {
  switch (m.kind) {
    case "callResult": {
      const { output, error } = m as CallResult;
      return OVERHEAD + (output?.length ?? 0) + (error === undefined ? 0 : errorHint(error));
    }
    case "commit":
      return OVERHEAD + (m as Commit).changes.length;
    case "emit": {
      const { event, args, to, except } = m as Emit;
      return OVERHEAD + event.length + args.length + 4 * ((to?.length ?? 0) + (except?.length ?? 0));
    }
    case "part":
      return OVERHEAD + (m as Part).data.length;
    case "kvRead":
      return OVERHEAD + keysHint(m as KvRead);
    default:
      return OVERHEAD;
  }
}

function errorHint(e: WireError): number {
  return OVERHEAD + e.message.length + (e.metadata?.length ?? 0);
}

function keysHint(m: KvRead): number {
  let n = (m.range?.from.length ?? 0) + (m.range?.until?.length ?? 0);
  for (const key of m.keys ?? []) n += key.length + 2;
  return n;
}
