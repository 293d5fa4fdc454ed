import type { WireError } from "../wire/messages.ts";
import type { Incarnation } from "./incarnation.ts";

/**
 * failTurns answers with an error what an actor cannot finish that has crashed: the turns since the last commit sent, whose changes
 * are lost, and those that run [STATE-2] [LIFE-10]. Calls that have not begun go back.
 */
export function failTurns(actor: Incarnation, error: WireError): void {
  const { port } = actor;
  const fail = (id: number) => port.send({ kind: "callResult", actor: port.ref, id, error });
  for (const m of [...actor.outbox.drop(), ...actor.ledger.drop()]) {
    if (m.kind === "callResult") fail(m.id);
  }
  for (const turn of actor.mailbox.running) {
    if (turn.id === 0 || turn.lost) continue;
    turn.lost = true;
    fail(turn.id);
  }
  actor.mailbox.empty(true);
}
