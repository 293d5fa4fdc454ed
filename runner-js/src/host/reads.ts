import type { KvRead, KvResult } from "../wire/messages.ts";
import { ended, errorOf, stopped } from "./fault.ts";
import { Group } from "./group.ts";
import type { Incarnation } from "./incarnation.ts";

interface Read {
  readonly m: KvRead;
  readonly resolve: (m: KvResult) => void;
  readonly reject: (error: Error) => void;
}

/** Reads are the actor's unanswered reads of its KV. */
export class Reads {
  readonly #actor: Incarnation;
  readonly #open = new Map<number, Read>();
  /** Over the limit of unanswered reads. */
  #parked: KvRead[] = [];
  #last = 0;

  constructor(actor: Incarnation) {
    this.#actor = actor;
  }

  /** ask sends a read, or keeps it back while as many as may be are unanswered, or until the actor is adopted. */
  ask(m: Omit<KvRead, "kind" | "actor" | "id">): Promise<KvResult> {
    const actor = this.#actor;
    if (actor.over) return ended();
    const { session, ref } = actor.port;
    if (!session.features.has("kv")) return Promise.reject(new Error("the gateway does not offer KV"));
    const read: KvRead = { kind: "kvRead", actor: ref, id: ++this.#last, ...m };
    const answer = new Promise<KvResult>((resolve, reject) => this.#open.set(read.id, { m: read, resolve, reject }));
    if (actor.adriftNow) return answer; // askAgain finds it
    if (this.#open.size > session.limits.maxReadsPerActor) this.#parked.push(read);
    else actor.port.send(read);
    return answer;
  }

  /** result is the answer to a read. */
  result(m: KvResult): void {
    const read = this.#open.get(m.id);
    if (read === undefined || this.#actor.adriftNow) return; // then it is not asked in this session yet
    this.#open.delete(m.id);
    if (m.error === undefined) read.resolve(m);
    else read.reject(errorOf(m.error));
    const next = this.#parked.shift();
    if (next !== undefined) this.#actor.port.send(next);
  }

  /** askAgain puts the unanswered reads behind the commit that is sent again: their answers were lost with the session. */
  askAgain(): void {
    if (this.#open.size === 0) return;
    const { outbox, port } = this.#actor;
    const reads = [...this.#open.values()].map(({ m }) => m);
    for (const m of reads) m.actor = port.ref;
    const limit = port.session.limits.maxReadsPerActor;
    this.#parked = reads.slice(limit);
    const group = new Group();
    group.hold(reads.slice(0, limit));
    outbox.insert(outbox.sentBefore ? 1 : 0, group);
  }

  end(): void {
    for (const { reject } of this.#open.values()) reject(stopped());
    this.#open.clear();
    this.#parked = [];
  }
}
