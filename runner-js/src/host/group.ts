import { encodeChanges } from "../wire/changes.ts";
import type { KvOp, Limits } from "../wire/messages.ts";
import { sizesOf } from "./output.ts";
import type { Output } from "./output.ts";

/** Group is one flush: changes, and the outputs that depend on them [GATE-2]. Without changes it is outputs that wait. */
export class Group {
  /** CBOR; undefined: unchanged. */
  state: Uint8Array | undefined;
  kv: KvOp[] = [];
  /** Of the keys and values of kv. */
  kvBytes = 0;
  added: string[] = [];
  readonly removed = new Set<string>();
  destroy = false;
  /** The changes as they were sent under a version, and are sent again [COMMIT-1]; undefined: never yet. */
  sent: Uint8Array | undefined;
  outputs: Output[] = [];
  /** Of outputs. */
  bytes = 0;
  /** Outputs that were sent behind it while it was unanswered, and that it does not count. */
  behind: Output[] = [];

  /** changes tells whether there is anything to commit. */
  changes(): boolean {
    return this.sent !== undefined || this.state !== undefined || this.destroy || this.kv.length + this.added.length + this.removed.size > 0;
  }

  hold(outputs: readonly Output[]): void {
    for (const m of outputs) this.outputs.push(m);
    this.bytes += sizesOf(outputs);
  }

  /** setOutputs holds these in place of the others. */
  setOutputs(outputs: Output[]): void {
    this.outputs = outputs;
    this.bytes = sizesOf(outputs);
  }

  /** size is at least that of the encoded changes. */
  size(): number {
    const overhead = 16;
    const connection = 80; // an id is no longer than what gateways give
    const state = this.state?.length ?? 0;
    return (this.sent?.length ?? 0) + state + this.kvBytes + overhead * (1 + this.kv.length) + connection * (this.added.length + this.removed.size);
  }

  /** weight is what the group takes of memory. */
  weight(): number {
    return this.size() + this.bytes;
  }

  /** fits tells whether more changes make one commit with these. */
  fits(more: Group, limits: Limits): boolean {
    const size = this.size() + more.size() - (more.state === undefined ? 0 : (this.state?.length ?? 0));
    return (
      this.kv.length + more.kv.length <= limits.maxKvOperations &&
      this.kvBytes + more.kvBytes <= limits.maxKvBatch &&
      size <= limits.maxCommit
    );
  }

  add(more: Group): void {
    this.state = more.state ?? this.state;
    this.kv.push(...more.kv);
    this.kvBytes += more.kvBytes;
    for (const id of more.added) this.accept(id);
    for (const id of more.removed) this.removed.add(id);
    this.destroy ||= more.destroy;
  }

  /** accept adds a connection. One of its id that has left before is no matter of the store's: it removes behind all that it adds. */
  accept(id: string): void {
    this.removed.delete(id);
    this.added.push(id);
  }

  /** encode makes Commit.changes, once: the bytes of a version never differ [COMMIT-1]. */
  encode(): Uint8Array {
    this.sent ??= encodeChanges(
      this.destroy // nothing else counts then
        ? { destroy: true }
        : { state: this.state, kv: this.kv, connectionsAdded: this.added, connectionsRemoved: [...this.removed] },
    );
    return this.sent;
  }
}
