import type { Message } from "../registry.ts";

/** What the page shows: a message of the room, or, without sentAt, one that is on its way there. */
export interface Line extends Omit<Message, "sentAt"> {
  readonly sentAt?: number;
  /** Why it did not get there. */
  readonly failure?: string;
}

/** lines with news, in the order of the room, then what is on its way. What the room has said is final. */
export function merge(lines: readonly Line[], news: readonly Line[]): readonly Line[] {
  const byId = new Map(lines.map((line) => [line.id, line]));
  for (const line of news) {
    if (byId.get(line.id)?.sentAt === undefined) byId.set(line.id, line);
  }
  return [...byId.values()].sort((a, b) => (a.sentAt ?? Infinity) - (b.sentAt ?? Infinity));
}
