import type { CommitResult } from "../wire/messages.ts";
import { quiet, stopped } from "./fault.ts";
import { Group } from "./group.ts";
import { costOf, isRepeatable, sizeOf } from "./output.ts";
import type { Output } from "./output.ts";
import type { Incarnation } from "./incarnation.ts";

/** Save is somebody who waits until a version is acknowledged. */
interface Save {
  readonly version: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Outbox sends an actor's groups in order: behind an unanswered commit no other begins [COMMIT-1], and none before there is credit
 * for its events [GATE-4]. What cannot go yet waits here.
 */
export class Outbox {
  /** Of the commit last sent, or started from. */
  version: number;
  /** The commit last sent is unanswered. */
  inflight = false;
  /** The unanswered commit and what was sent behind it, to be sent again after an adoption. */
  flight: Group | undefined;
  /** Unsent, in order. */
  waiting: Group[] = [];
  readonly #actor: Incarnation;
  #backlog = 0;
  /** Bytes of outputs sent behind the unanswered commit. */
  #unacked = 0;
  #saves: Save[] = [];

  constructor(actor: Incarnation, version: number) {
    this.#actor = actor;
    this.version = version;
  }

  /** idle: nothing is under way and nothing waits. */
  get idle(): boolean {
    return !this.inflight && this.waiting.length === 0;
  }

  /** Bytes that wait. */
  get backlog(): number {
    return this.#backlog;
  }

  /** overfull tells whether so much waits, here or in the gateway, that no turn begins before some of it is out. */
  get overfull(): boolean {
    return this.#backlog + this.#unacked >= this.#actor.port.session.limits.maxHeldBytes / 2;
  }

  /** one sends an output that nothing uncommitted stands behind [GATE-5]. */
  one(m: Output): void {
    if (this.waiting.length === 0 && this.#mayFollow(sizeOf(m)) && this.#spend(costOf(m))) this.#follow(m);
    else this.wait(undefined, [m]);
  }

  /** say sends what is no output of the user's code, behind what waits. No commit may count it [GATE-2]. */
  say(m: Output): void {
    if (this.waiting.length === 0 && !this.#actor.adriftNow) return this.#actor.port.send(m);
    const group = new Group();
    group.hold([m]);
    this.insert(this.waiting.length, group);
  }

  /** post sends a flush, or as much of it as may go, and keeps the rest. */
  post(group: Group | undefined, outputs: readonly Output[]): void {
    let rest = outputs;
    let commit = group;
    if (this.waiting.length === 0) { // else it would overtake [GATE-1]
      const sent = this.#sendPart(commit, outputs);
      if (sent >= 0) {
        commit = undefined;
        rest = sent === outputs.length ? [] : outputs.slice(sent);
      }
    }
    if (commit === undefined && rest.length === 0) return;
    this.wait(commit, rest);
    this.advance();
  }

  /**
   * wait queues a flush behind what waits already, as part of the last group if both fit one commit: what accumulates goes out
   * together. Nothing joins a commit that was sent before [COMMIT-1].
   */
  wait(group: Group | undefined, outputs: readonly Output[]): void {
    let last = this.waiting.at(-1);
    if (last?.sent !== undefined) last = undefined;
    if (last === undefined || (group !== undefined && !(last.changes() && last.fits(group, this.#actor.port.session.limits)))) {
      last = new Group();
      this.waiting.push(last);
    } else {
      this.#backlog -= last.weight();
    }
    if (group !== undefined) last.add(group);
    last.hold(outputs);
    this.#backlog += last.weight();
  }

  /** advance sends what waits, as far as it may go. */
  advance(): void {
    while (this.waiting.length > 0 && !this.#actor.over) {
      const group = this.waiting[0] as Group;
      const { outputs } = group;
      const weight = group.weight();
      const sent = this.#sendPart(group.changes() ? group : undefined, outputs);
      if (sent < 0) return;
      this.waiting.shift();
      this.#backlog -= weight;
      if (sent < outputs.length) this.#waitFirst(outputs.slice(sent));
    }
  }

  #waitFirst(outputs: Output[]): void {
    const rest = new Group();
    rest.hold(outputs);
    this.waiting.unshift(rest);
    this.#backlog += rest.weight();
  }

  /** sendPart sends a group, if it may go: the commit, if there is one, and the first outputs. The answer is how many; -1: nothing. */
  #sendPart(commit: Group | undefined, outputs: readonly Output[]): number {
    if (commit !== undefined && this.inflight) return -1;
    const envelope = 64;
    const { count, cost, bytes } = this.#portion(commit === undefined ? 0 : commit.size() + envelope, outputs);
    if (commit === undefined ? !this.#mayFollow(bytes) : this.#actor.adriftNow) return -1;
    if (!this.#spend(cost)) return -1;
    if (commit !== undefined) this.#commit(commit, outputs.slice(0, count), bytes);
    else for (let i = 0; i < count; i++) this.#follow(outputs[i] as Output);
    return count;
  }

  /** portion is how many of the outputs go out at once, the first ones, what their events cost, and their bytes [GATE-4]. */
  #portion(commit: number, outputs: readonly Output[]): { count: number; cost: number; bytes: number } {
    const { limits, maxEventCost } = this.#actor.port.session;
    let cost = 0;
    let bytes = 0;
    for (let i = 0; i < outputs.length; i++) {
      const m = outputs[i] as Output;
      const more = costOf(m);
      const size = sizeOf(m);
      const full = i === limits.maxGroupOutputs || commit + bytes + size > limits.maxGroupBytes || cost + more > maxEventCost;
      if (full && (commit > 0 || i > 0)) return { count: i, cost, bytes };
      cost += more;
      bytes += size;
    }
    return { count: outputs.length, cost, bytes };
  }

  #spend(cost: number): boolean {
    return cost === 0 || this.#actor.port.spend(cost);
  }

  /** mayFollow tells whether so many bytes may be sent without a commit: the gateway holds them while one is unanswered. */
  #mayFollow(bytes: number): boolean {
    if (this.#actor.adriftNow) return false;
    return !this.inflight || this.#unacked === 0 || this.#unacked + bytes < this.#actor.port.session.limits.maxHeldBytes / 2;
  }

  #follow(m: Output): void {
    this.#actor.port.send(m);
    if (!this.inflight) return;
    this.#unacked += sizeOf(m);
    if (this.flight !== undefined && isRepeatable(m)) this.flight.behind.push(m);
  }

  /** commit writes a group: the commit, then its outputs, with nothing of the actor between them [GATE-2]. */
  #commit(group: Group, outputs: Output[], bytes: number): void {
    const { port } = this.#actor;
    this.version++;
    this.inflight = true;
    this.#unacked = bytes;
    port.send({ kind: "commit", actor: port.ref, version: this.version, changes: group.encode(), outputs: outputs.length });
    for (const m of outputs) port.send(m);
    if (!port.session.features.has("adopt")) return;
    group.state = undefined; // what counts is in `sent`
    group.setOutputs(outputs.filter(isRepeatable));
    this.flight = group;
  }

  /** commitResult is the answer to the one unanswered commit; true: it was, and what waited for it may go on. */
  commitResult(m: CommitResult): boolean {
    if (!this.inflight || m.version !== this.version || m.error !== undefined) return false;
    this.inflight = false;
    this.#unacked = 0;
    this.flight = undefined;
    this.#saves = this.#saves.filter((save) => {
      if (save.version > this.version) return true;
      save.resolve();
      return false;
    });
    return true;
  }

  /** saved is fulfilled when everything flushed so far is durable; undefined: it is. */
  saved(): Promise<void> | undefined {
    if (this.idle) return undefined;
    const version = this.version + this.waiting.filter((group) => group.changes()).length;
    if (version === this.version && !this.inflight) return undefined;
    return quiet(new Promise((resolve, reject) => this.#saves.push({ version, resolve, reject })));
  }

  /** sentBefore tells whether what waits begins with a commit that a lost session left unanswered. */
  get sentBefore(): boolean {
    return this.waiting[0]?.sent !== undefined;
  }

  /**
   * rewind has the unanswered commit wait again, in front and as it was sent. What answers or asks the gateway of the lost session is
   * dropped [LEASE-4].
   */
  rewind(): void {
    const groups = this.waiting;
    if (this.flight !== undefined) {
      groups.unshift(this.flight);
      this.version--;
    }
    this.inflight = false;
    this.flight = undefined;
    this.#unacked = 0;
    this.replaceWaiting(groups, (outputs) => outputs.filter(isRepeatable));
  }

  /**
   * unfold has what was sent behind the unanswered commit follow it again. If the commit was applied, its events have left the
   * gateway or are lost.
   */
  unfold(applied: boolean): void {
    const first = this.waiting[0];
    if (first === undefined || !this.sentBefore) return;
    const behind = new Group();
    behind.hold(first.behind.filter((m) => !(applied && m.kind === "emit")));
    first.behind = [];
    if (behind.outputs.length > 0) this.insert(1, behind);
  }

  insert(at: number, group: Group): void {
    this.waiting.splice(at, 0, group);
    this.#backlog += group.weight();
  }

  /** replaceWaiting has groups wait, with other outputs. */
  replaceWaiting(groups: Group[], outputs: (of: Output[]) => Output[]): void {
    this.#backlog = 0;
    this.waiting = groups.filter((group) => {
      group.setOutputs(outputs(group.outputs));
      const kept = group.changes() || group.outputs.length > 0;
      if (kept) this.#backlog += group.weight();
      return kept;
    });
  }

  /** drop forgets everything, and answers with what was to be sent. */
  drop(): Output[] {
    const outputs = this.waiting.flatMap((group) => group.outputs);
    this.waiting = [];
    this.#backlog = 0;
    this.#unacked = 0;
    this.flight = undefined;
    for (const save of this.#saves) save.reject(stopped());
    this.#saves = [];
    return outputs;
  }
}

