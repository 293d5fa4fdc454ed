import type { KvOp, WireError } from "../wire/messages.ts";
import { fault, tell, textOf, wireFault } from "./fault.ts";
import { Group } from "./group.ts";
import type { Incarnation } from "./incarnation.ts";
import { sizeOf, sizesOf } from "./output.ts";
import type { Output } from "./output.ts";

/**
 * Ledger collects what the actor changes and sends until the end of the tick, and flushes it as one group [FLUSH-2] [GATE-2]. Outputs
 * behind which nothing is uncommitted do not wait.
 */
export class Ledger {
  readonly #actor: Incarnation;
  /** Changes but those of the state; undefined: none. */
  #pending: Group | undefined;
  #held: Output[] = [];
  /** Of #held. */
  #bytes = 0;
  #armed = false;

  constructor(actor: Incarnation) {
    this.#actor = actor;
  }

  /** Bytes of the outputs that are held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** idle: there is nothing to flush. */
  get idle(): boolean {
    const actor = this.#actor;
    return !actor.root.dirty && this.#pending === undefined && this.#held.length === 0 && !actor.conns.dirty;
  }

  /** The writes of KV that were not flushed. */
  get kv(): readonly KvOp[] {
    return this.#pending?.kv ?? [];
  }

  /** arm has the ledger flushed at the end of the tick. */
  arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#actor.host.atTickEnd(this);
  }

  /** tick is the end of the tick for which it was armed. */
  tick(): void {
    this.#armed = false;
    this.flush();
    this.#actor.afterFlush();
  }

  /** output sends an output of the user's code, at once where nothing is uncommitted [GATE-5]. */
  output(m: Output): void {
    const actor = this.#actor;
    if (actor.over || actor.crashed !== undefined) return;
    if (this.idle) {
      actor.outbox.one(m);
      return;
    }
    this.#held.push(m);
    this.#bytes += sizeOf(m);
    const { maxGroupOutputs, maxGroupBytes } = actor.port.session.limits;
    if (this.#held.length >= maxGroupOutputs || this.#bytes >= maxGroupBytes / 2) this.flush();
    else this.arm();
  }

  /** changes is the group that changes go to, but those of the state. */
  changes(): Group {
    this.arm();
    this.#pending ??= new Group();
    return this.#pending;
  }

  /** write adds writes of KV, all or none; a commit that they would not fit is flushed before. */
  write(ops: readonly KvOp[], bytes: number): void {
    const { maxKvOperations, maxKvBatch } = this.#actor.port.session.limits;
    if (ops.length > maxKvOperations || bytes > maxKvBatch) {
      throw fault("kv.batch_too_large", `One batch takes at most ${maxKvOperations} operations of ${maxKvBatch} bytes together.`);
    }
    const before = this.#pending;
    if (before !== undefined && (before.kv.length + ops.length > maxKvOperations || before.kvBytes + bytes > maxKvBatch)) {
      this.#actor.bear();
      if (!this.#actor.born) throw fault("kv.batch_too_large", "Before there is a state, all writes are one batch: write them in onCreate.");
      this.flush();
    }
    const group = this.changes();
    group.kv.push(...ops);
    group.kvBytes += bytes;
  }

  /**
   * flush makes one group of what was changed and held, and sends it or lets it wait behind the unanswered commit. Nothing is
   * flushed before a new actor has a state [STATE-1]. It is false when the actor cannot go on.
   */
  flush(): boolean {
    const actor = this.#actor;
    if (actor.over || actor.crashed !== undefined || actor.ending !== undefined) {
      this.drop(); // nobody keeps what is done behind the end
      return false;
    }
    if (!actor.born) return true;
    actor.data.changed();
    for (const m of actor.conns.changedStates()) {
      this.#held.push(m);
      this.#bytes += sizeOf(m);
    }
    const group = this.#group();
    if (group instanceof Group || group === undefined) {
      const held = this.#held;
      if (group === undefined && held.length === 0) return true;
      this.#held = [];
      this.#bytes = 0;
      actor.outbox.post(group, held);
      return true;
    }
    actor.crash(group);
    return false;
  }

  /** group is what is to be committed; undefined: nothing; an error: it cannot be. */
  #group(): Group | WireError | undefined {
    const { root, port } = this.#actor;
    const group = this.#pending ?? (root.dirty ? new Group() : undefined);
    this.#pending = undefined;
    if (group === undefined) return undefined;
    if (root.dirty && !group.destroy) {
      const failed = this.#encodeState(group);
      if (failed !== undefined) return failed;
    }
    const limit = port.session.limits.maxCommit;
    if (group.size() > limit) return wireFault("state.too_large", "yes", `The changes have more than ${limit} bytes; they were not kept.`);
    return group;
  }

  #encodeState(group: Group): WireError | undefined {
    const { root, port } = this.#actor;
    root.dirty = false;
    try {
      group.state = root.encode();
    } catch (error) {
      return tell(fault("state.invalid", `The actor's state cannot be encoded: ${textOf(error)}.`), "yes", port.session).error;
    }
    const limit = port.session.limits.maxState;
    if (group.state.length <= limit) return undefined;
    const what = `The actor's state has ${group.state.length} bytes, at most ${limit} are allowed; the change was not kept.`;
    return wireFault("state.too_large", "yes", what);
  }

  /** replaceHeld holds other outputs in place of those that are held. */
  replaceHeld(outputs: (of: Output[]) => Output[]): void {
    this.#held = outputs(this.#held);
    this.#bytes = sizesOf(this.#held);
    if (this.#held.length > 0) this.arm();
  }

  /** drop forgets everything, and answers with what was to be sent. */
  drop(): Output[] {
    const held = this.#held;
    this.#pending = undefined;
    this.#held = [];
    this.#bytes = 0;
    this.#actor.root.dirty = false;
    return held;
  }
}
