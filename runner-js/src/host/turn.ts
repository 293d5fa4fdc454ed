import type { Incarnation } from "./incarnation.ts";

/** Turn is one entry of an actor's mailbox [TURN-1]. */
export abstract class Turn {
  readonly actor: Incarnation;
  /** Nothing else runs beside it. */
  readonly alone: boolean;
  /** Its session is: nobody is answered any more. */
  lost = false;

  constructor(actor: Incarnation, alone: boolean) {
    this.actor = actor;
    this.alone = alone;
  }

  /** begin runs the turn. true: it is over already; else it calls Mailbox.finished when it is. It does not throw. */
  abstract begin(): boolean;

  /** id is that of the call or open that it answers; 0: none. */
  get id(): number {
    return 0;
  }

  /** asked: the gateway of its session asked for it, and means nothing by it in another [LEASE-4]. */
  get asked(): boolean {
    return false;
  }

  /** giveBack answers that it will not begin here: somebody else may take it [CALL-9]. */
  giveBack(): void {
    if (this.id !== 0 && !this.lost) this.actor.giveBack(this.id);
  }

  /** cancel: nobody waits for its answer any more. began: it runs. */
  cancel(_late: boolean, _began: boolean): void {}

  /** halt: the actor begins to stop. */
  halt(): void {}
}
