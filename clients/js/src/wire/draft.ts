import { defaultsOf } from "./protobuf.ts";
import type { Draft, Message } from "./messages.ts";
import { kinds } from "./schema.ts";

/** readDraft is a draft as its receiver reads it: with all fields. */
export function readDraft(draft: Draft): Message {
  return { ...defaultsOf(kinds[draft.kind].schema), ...draft } as unknown as Message;
}
