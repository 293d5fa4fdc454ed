import type { CancelReason } from "../wire/messages.ts";
import type { Connection } from "./connection.ts";
import { GoneTurn } from "./gone.ts";
import type { Incarnation } from "./incarnation.ts";
import type { Turn } from "./turn.ts";

/**
 * Mailbox begins turns in arrival order. They run beside each other from their first await on, but those that are alone [TURN-1].
 */
export class Mailbox {
  readonly #actor: Incarnation;
  #queue: Turn[] = [];
  readonly #running = new Set<Turn>();
  #alone: Turn | undefined;
  #waking = false;

  constructor(actor: Incarnation) {
    this.#actor = actor;
  }

  get idle(): boolean {
    return this.#queue.length === 0 && this.#running.size === 0 && this.#alone === undefined;
  }

  get running(): Iterable<Turn> {
    return this.#running;
  }

  /** take begins a turn, or queues it. */
  take(turn: Turn): void {
    if (this.#queue.length === 0 && this.#mayBegin(turn)) this.#begin(turn);
    else this.#queue.push(turn);
  }

  /** leaves queues onDisconnect for a connection, once: before all turns that wait, behind the connections that left earlier. */
  leaves(conn: Connection): void {
    if (conn.leaving) return;
    conn.leaving = true;
    let at = 0;
    while (this.#queue[at] instanceof GoneTurn && (this.#queue[at] as GoneTurn).left) at++;
    this.#queue.splice(at, 0, GoneTurn.of(conn));
    this.wake();
  }

  /** wake begins what may begin, soon: not inside of the user code that asks for it. */
  wake(): void {
    if (this.#waking || this.#queue.length === 0) return;
    this.#waking = true;
    queueMicrotask(() => {
      this.#waking = false;
      this.pump();
    });
  }

  /** pump begins what may begin. */
  pump(): void {
    for (let turn = this.#queue[0]; turn !== undefined && this.#mayBegin(turn); turn = this.#queue[0]) {
      this.#queue.shift();
      this.#begin(turn);
    }
  }

  /** finished is the end of a turn that did not end when it began. */
  finished(turn: Turn): void {
    this.#running.delete(turn);
    if (this.#alone === turn) this.#alone = undefined;
    this.#actor.turnEnded();
  }

  /** cancel is CancelCall: a call that has not begun never runs [CALL-5]. */
  cancel(id: number, reason: CancelReason): void {
    if (id === 0) return; // the turns that answer nobody have it
    const late = reason === "deadline";
    for (const turn of this.#running) {
      if (turn.id === id && !turn.lost) return turn.cancel(late, true);
    }
    const at = this.#queue.findIndex((turn) => turn.id === id);
    if (at >= 0) this.#queue.splice(at, 1)[0]?.cancel(late, false);
  }

  /** unqueue takes out what waits and matches. */
  unqueue(match: (turn: Turn) => boolean): Turn[] {
    const out = this.#queue.filter(match);
    this.#queue = this.#queue.filter((turn) => !match(turn));
    return out;
  }

  /** empty takes out all that waits; answer: it is given back. */
  empty(answer: boolean): void {
    for (const turn of this.unqueue(() => true)) {
      if (answer) turn.giveBack();
    }
  }

  #mayBegin(turn: Turn): boolean {
    return this.#alone === undefined && (!turn.alone || this.#running.size === 0) && this.#actor.mayBegin();
  }

  #begin(turn: Turn): void {
    if (turn.alone) this.#alone = turn;
    if (!turn.begin()) {
      this.#running.add(turn);
      return;
    }
    if (turn.alone) this.#alone = undefined;
    this.#actor.rest.begin();
  }
}
