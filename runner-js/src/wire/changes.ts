// Changes: what a commit applies. Its bytes name the commit, so they are made once, and sent again as they are [COMMIT-1].
import { createHash } from "node:crypto";
import type { Changes, KvOp } from "./messages.ts";
import { Writer } from "./writer.ts";

/** encodeChanges is deterministic: the same changes give the same bytes. The result is the caller's. */
export function encodeChanges(c: Changes): Uint8Array {
  const w = new Writer(sizeOf(c));
  if (c.state !== undefined) w.present(1, c.state);
  for (const op of c.kv ?? []) encodeOp(w, op);
  for (const id of c.connectionsAdded ?? []) element(w, 6, id);
  for (const id of c.connectionsRemoved ?? []) element(w, 7, id);
  w.bool(8, c.destroy);
  return new Uint8Array(w.buf.buffer, w.buf.byteOffset, w.pos);
}

/** commitId is what the store keeps of a commit [COMMIT-2]. */
export function commitId(changes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(changes).digest().subarray(0, 16));
}

function encodeOp(w: Writer, op: KvOp): void {
  const hint = opSize(op);
  const mark = w.open(2, hint);
  w.bytes(1, op.key);
  if (op.value !== undefined) w.present(2, op.value);
  if (op.deleteUntil !== undefined) w.present(3, op.deleteUntil);
  w.close(mark, hint);
}

/** An element of a list is written even if it is empty. */
function element(w: Writer, field: number, text: string): void {
  w.tag(field, 2);
  w.text(text);
}

function opSize(op: KvOp): number {
  return op.key.length + (op.value?.length ?? 0) + (op.deleteUntil?.length ?? 0) + 16;
}

/** About the bytes needed, so that the buffer rarely grows. */
function sizeOf(c: Changes): number {
  let n = (c.state?.length ?? 0) + 32;
  for (const op of c.kv ?? []) n += opSize(op) + 8;
  for (const id of c.connectionsAdded ?? []) n += id.length + 8;
  for (const id of c.connectionsRemoved ?? []) n += id.length + 8;
  return n;
}
