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
  /** The last put or delete of each key, and its place among the writes. */
  readonly #last = new Map<string, { readonly at: number; readonly op: KvOp }>();
  readonly #ranges: { readonly at: number; readonly span: Span }[] = [];

  constructor(ops: readonly KvOp[]) {
    ops.forEach((op, at) => {
      if (op.deleteUntil === undefined) this.#last.set(textOf(op.key), { at, op });
      else this.#ranges.push({ at, span: { from: op.key, until: op.deleteUntil } });
    });
  }

  /** find is what the overlay says of a key: a value, null if it was deleted, undefined if it says nothing. */
  find(key: Uint8Array): Uint8Array | null | undefined {
    const last = this.#last.get(textOf(key));
    if (this.#ranges.some(({ at, span }) => at > (last?.at ?? -1) && holds(span, key))) return null;
    return last === undefined ? undefined : (last.op.value ?? null);
  }

  /** puts are the overlay's living entries within a span, in byte order. */
  puts(span: Span): KvEntry[] {
    const entries: KvEntry[] = [];
    for (const { op } of this.#last.values()) {
      const value = holds(span, op.key) ? this.find(op.key) : undefined;
      if (value !== undefined && value !== null) entries.push({ key: op.key, value });
    }
    return entries.sort((a, b) => compare(a.key, b.key));
  }
}

/** textOf is a key as text, one character for each byte. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}
