import type { KvEntry, KvOp } from "../wire/messages.ts";

/** compare orders keys bytewise [KV-1]. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** Span is a range of keys, [from, until); without until to the end. */
export interface Span {
  readonly from: Uint8Array;
  readonly until: Uint8Array | undefined;
}

function holds(span: Span, key: Uint8Array): boolean {
  return compare(key, span.from) >= 0 && (span.until === undefined || span.until.length === 0 || compare(key, span.until) < 0);
}

/** prefixEnd is the first key behind all that begin with a prefix; undefined: there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix[i] as number;
    if (byte < 0xff) {
      const end = prefix.slice(0, i + 1);
      end[i] = byte + 1;
      return end;
    }
  }
  return undefined;
}

/**
 * Overlay is the writes that were not yet sent when a read was, in order. The gateway serves the read after the commits before it, so
 * that the overlay on top of the answer is what the actor has written [KV-3]. It stays right when some of it is sent and read back:
 * the last write to a key decides, and it is in the overlay.
 */
export class Overlay {
  readonly #ops: readonly KvOp[];

  constructor(ops: readonly KvOp[]) {
    this.#ops = ops;
  }

  /** find is what the overlay says of a key: a value, null if it was deleted, undefined if it says nothing. */
  find(key: Uint8Array): Uint8Array | null | undefined {
    for (let i = this.#ops.length - 1; i >= 0; i--) {
      const op = this.#ops[i] as KvOp;
      if (op.deleteUntil !== undefined) {
        if (holds({ from: op.key, until: op.deleteUntil }, key)) return null;
      } else if (compare(op.key, key) === 0) {
        return op.value ?? null;
      }
    }
    return undefined;
  }

  /** puts are the overlay's living entries within a span, in byte order. */
  puts(span: Span): KvEntry[] {
    const latest = new Map<string, KvEntry>();
    for (const { key, value } of this.#ops) {
      if (value === undefined || !holds(span, key)) continue;
      const found = this.find(key);
      if (found !== null && found !== undefined) latest.set(Buffer.from(key).toString("latin1"), { key, value: found });
    }
    return [...latest.values()].sort((a, b) => compare(a.key, b.key));
  }
}
