import type { StopActor, StopOutcome } from "../wire/messages.ts";
import { later } from "./clock.ts";
import type { Timer } from "./clock.ts";
import { disconnected, GoneTurn } from "./gone.ts";
import { bounded } from "./hook.ts";
import type { Incarnation } from "./incarnation.ts";
import { Turn } from "./turn.ts";

/** Stop is a StopActor that is being served [SLEEP-2] [LIFE-6]. */
export class Stop {
  destroys: boolean;
  readonly #actor: Incarnation;
  readonly #timers: Timer[] = [];
  #queued = false;

  constructor(actor: Incarnation, m: StopActor) {
    this.#actor = actor;
    this.destroys = m.reason === "destroy";
    const grace = m.graceMs || actor.port.session.timeouts.stopMs;
    // Outside work gets most of the grace; the rest is for the last turn and its commit. The gateway forgets the actor when the
    // grace is over, and so do we.
    this.#later((grace * 3) / 4, () => this.#queue());
    this.#later(grace, () => actor.end("fenced"));
    if (!actor.rest.free) this.#later(actor.def.options.runStopTimeout, () => actor.rest.runEnds());
  }

  #later(ms: number, what: () => void): void {
    this.#timers.push(later(ms, what));
  }

  /** whenFree queues the last turn when nothing runs beside the turns any more. */
  whenFree(): void {
    if (this.#actor.rest.free) this.#queue();
  }

  end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #queue(): void {
    const actor = this.#actor;
    if (this.#queued || actor.over || actor.crashed !== undefined || actor.ending !== undefined) return;
    this.#queued = true;
    actor.mailbox.take(new StopTurn(actor, this));
  }
}

/** StopTurn is the last turn: a hook and the final commit. */
class StopTurn extends Turn {
  readonly #stop: Stop;

  constructor(actor: Incarnation, stop: Stop) {
    super(actor, true);
    this.#stop = stop;
  }

  begin(): boolean {
    const { actor } = this;
    if (actor.ending !== undefined || actor.crashed !== undefined) return true;
    actor.closing = true;
    void this.#run();
    return false;
  }

  async #run(): Promise<void> {
    const { actor } = this;
    if (!this.#stop.destroys) await this.#hook("onSleep", actor.def.options.onSleepTimeout);
    await this.#leave();
    const { destroys } = this.#stop; // it may have been wished for meanwhile
    if (destroys) await this.#destroy();
    if (!actor.over) this.#end(destroys ? "destroyed" : "slept");
    actor.mailbox.finished(this);
  }

  #end(outcome: StopOutcome): void {
    const { actor } = this;
    if (outcome === "destroyed") actor.ledger.changes().destroy = true;
    if (!actor.ledger.flush()) return;
    actor.mailbox.empty(true);
    actor.ending = { outcome, error: undefined };
    actor.afterFlush();
  }

  async #hook(name: "onSleep" | "onDestroy", timeoutMs: number): Promise<void> {
    const { actor } = this;
    try {
      await bounded(name, timeoutMs, actor.def.hooks[name]?.(actor.context));
    } catch (error) {
      actor.report("error", `${name} failed`, { error });
    }
  }

  /** destroy runs onDestroy while the connections are still there, then onDisconnect for each, since they end with the actor. */
  async #destroy(): Promise<void> {
    const { actor } = this;
    await this.#hook("onDestroy", actor.def.options.onDestroyTimeout);
    if (actor.def.hooks.onDisconnect === undefined) return;
    await this.#leave();
    for (const conn of actor.conns.all()) {
      if (actor.over) return;
      if (!conn.visible) continue; // it was disconnected meanwhile
      actor.conns.remove(conn);
      await disconnected(actor, conn);
    }
    await this.#leave();
  }

  /** leave runs onDisconnect for those that the last turn disconnected: no turn of theirs comes after it. */
  async #leave(): Promise<void> {
    const { actor } = this;
    const leaving = (turn: Turn) => turn instanceof GoneTurn && turn.left !== undefined;
    for (let turns = actor.mailbox.unqueue(leaving); turns.length > 0; turns = actor.mailbox.unqueue(leaving)) {
      for (const turn of turns) {
        const conn = (turn as GoneTurn).left;
        if (conn === undefined || actor.over) return;
        if (conn.visible) actor.conns.remove(conn);
        await disconnected(actor, conn);
      }
    }
  }
}
