import type { KvEntry, KvResult } from "../wire/messages.ts";
import { compare } from "./overlay.ts";
import type { Overlay, Span } from "./overlay.ts";
import type { Reads } from "./reads.ts";

/** What of the KV is listed. */
export interface ListQuery {
  readonly span: Span;
  readonly reverse: boolean;
  /** 0: all. */
  readonly limit: number;
}

/** maxPageBytes is how much a page of a list may hold. */
const maxPageBytes = 1 << 20;

/**
 * list reads a range, page by page; the entries of the overlay are woven in as far as the pages reach. A list of everything may take
 * several round trips and all the memory that it needs.
 */
export async function list(reads: Reads, overlay: Overlay, query: ListQuery): Promise<KvEntry[]> {
  const { reverse, limit } = query;
  const order = (a: Uint8Array, b: Uint8Array) => (reverse ? compare(b, a) : compare(a, b));
  const written = overlay.puts(query.span);
  if (reverse) written.reverse();
  const found: KvEntry[] = [];
  for (let span = query.span; ; ) {
    const page = await ask(reads, span, query, found.length);
    for (const stored of page.entries) {
      while (written[0] !== undefined && order(written[0].key, stored.key) < 0) found.push(written.shift() as KvEntry);
      if (overlay.find(stored.key) === undefined) found.push({ key: stored.key, value: stored.value ?? new Uint8Array() });
    }
    if (!page.more) found.push(...written);
    if (!page.more || (limit > 0 && found.length >= limit)) return limit > 0 ? found.slice(0, limit) : found;
    span = behind(span, (page.entries.at(-1) as KvEntry).key, reverse);
  }
}

async function ask(reads: Reads, span: Span, query: ListQuery, found: number): Promise<KvResult> {
  // Some of the page may be hidden by the overlay; the next page makes up for it.
  const limit = query.limit > 0 ? Math.min(query.limit - found, 1 << 20) : undefined;
  const range = { from: span.from, until: span.until };
  const page = await reads.ask({ range, reverse: query.reverse, limit, maxBytes: maxPageBytes });
  if (page.more && page.entries.length === 0) throw new Error("the gateway answered with an empty page of a list that goes on");
  return page;
}

/** behind is what is still to be read of a span after its last key. */
function behind(span: Span, last: Uint8Array, reverse: boolean): Span {
  if (reverse) return { from: span.from, until: last };
  const from = new Uint8Array(last.length + 1);
  from.set(last);
  return { from, until: span.until };
}
