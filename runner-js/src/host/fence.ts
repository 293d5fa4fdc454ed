import type { Fence } from "../wire/messages.ts";
import type { Incarnation } from "./incarnation.ts";
import { Turn } from "./turn.ts";

/** FenceTurn is an empty turn [LINK-8]. */
export class FenceTurn extends Turn {
  readonly #nonce: bigint;

  constructor(actor: Incarnation, m: Fence) {
    super(actor, actor.type.serial);
    this.#nonce = m.nonce;
  }

  override get asked(): boolean {
    return true;
  }

  begin(): boolean {
    const { actor } = this;
    if (actor.ledger.flush()) actor.outbox.say({ kind: "fenceReached", nonce: this.#nonce, actor: actor.port.ref });
    return true;
  }
}
