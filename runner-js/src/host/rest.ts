import { later, now } from "./clock.ts";
import type { Timer } from "./clock.ts";
import type { Incarnation } from "./incarnation.ts";

/** Rest finds out when the actor may sleep, and knows what runs beside its turns [SLEEP-1]. */
export class Rest {
  readonly #actor: Incarnation;
  /** keepAwake. */
  #holds = 0;
  /** waitUntil. */
  #tasks = 0;
  #runs = false;
  #wanted = false;
  /** End of the last turn or hold. */
  #since = 0;
  #timer: Timer | undefined;

  constructor(actor: Incarnation) {
    this.#actor = actor;
  }

  /** free tells whether nothing runs beside the turns that a stop waits for. */
  get free(): boolean {
    return this.#holds === 0 && this.#tasks === 0 && !this.#runs;
  }

  /** keepAwake keeps the actor from sleeping until the promise is settled. */
  keepAwake<T>(promise: Promise<T>): Promise<T> {
    const held = Promise.resolve(promise); // whatever it is, it settles once
    this.#holds++;
    const release = () => {
      this.#holds--;
      this.#released();
    };
    held.then(release, release);
    return held;
  }

  /** waitUntil has a stop wait for the promise; it is no reason to stay awake. */
  waitUntil(promise: Promise<unknown>): void {
    const actor = this.#actor;
    const task = Promise.resolve(promise);
    this.#tasks++;
    const done = () => {
      this.#tasks--;
      if (!actor.over) actor.stop?.whenFree();
    };
    task.then(done, (error: unknown) => {
      actor.report("error", "work given to waitUntil failed", { error });
      done();
    });
  }

  /** run runs what the type has to run beside the turns. While it does, the actor does not sleep by itself. */
  run(): void {
    const actor = this.#actor;
    const { run } = actor.def;
    if (run === undefined || actor.stop !== undefined) return;
    this.#runs = true;
    const done = () => this.runEnds();
    const call = async () => {
      await run(actor.context);
    };
    call().then(done, (error: unknown) => {
      if (!actor.halting) actor.report("error", "run failed", { error });
      done();
    });
  }

  /** runEnds: run has returned, or is not waited for any more. */
  runEnds(): void {
    if (!this.#runs) return;
    this.#runs = false;
    this.#released();
  }

  #released(): void {
    if (this.#actor.over) return;
    this.begin();
    this.ask();
    this.#actor.stop?.whenFree();
  }

  /** want is the user's wish to sleep. It is repeated until it is granted [SLEEP-3]. */
  want(): void {
    this.#wanted = true;
    this.#actor.ledger.arm();
  }

  /** begin is the end of a turn or hold. The timer is not touched by it: when it fires, it looks how long the rest has been. */
  begin(): void {
    this.#since = now();
    const actor = this.#actor;
    if (this.#timer !== undefined || actor.def.options.noSleep || !actor.ready || actor.stop !== undefined || actor.over) return;
    this.#arm(this.#after());
  }

  /** ask repeats the wish to sleep whenever nothing is to do any more. */
  ask(): void {
    const actor = this.#actor;
    if (this.#wanted && actor.ready && actor.stop === undefined && this.#idle()) actor.intend("sleep");
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #after(): number {
    return this.#actor.def.options.sleepTimeout ?? this.#actor.port.session.timeouts.sleepAfterMs;
  }

  #arm(ms: number): void {
    this.#timer = later(Math.max(1, ms), () => this.#tire());
  }

  /** idle tells whether nothing is to do that a sleep would cut off. */
  #idle(): boolean {
    const actor = this.#actor;
    return !actor.over && !actor.adriftNow && this.#holds === 0 && actor.mailbox.idle && actor.outbox.idle && actor.ledger.idle;
  }

  /**
   * tire asks to sleep after a whole rest, and asks again after another, since the gateway ignores the question while something is
   * on its way here.
   */
  #tire(): void {
    const actor = this.#actor;
    if (actor.over || actor.stop !== undefined) return;
    let wait = this.#after();
    if (this.#idle() && !this.#runs) {
      const rested = now() - this.#since;
      if (rested < wait) wait -= rested;
      else actor.intend("sleep");
    }
    this.#arm(wait);
  }
}
