// What an actor does between a session that is lost and one that adopts it [LEASE-4].
import { commitId } from "../wire/changes.ts";
import type { ConnectionOpen, HostedActor } from "../wire/messages.ts";
import { Connection } from "./connection.ts";
import type { Incarnation } from "./incarnation.ts";
import { isRepeatable } from "./output.ts";
import type { Output } from "./output.ts";

/** offerOf is what the gateway has to know to adopt the actor. */
export function offerOf(actor: Incarnation): HostedActor {
  const [first] = actor.outbox.waiting;
  return {
    id: actor.id,
    generation: actor.generation,
    nonce: actor.nonce,
    version: actor.outbox.version,
    actor: actor.port.ref,
    pending: first?.sent === undefined ? new Uint8Array() : commitId(first.sent),
  };
}

/**
 * setAdrift takes the actor out of its session. What the gateway asked for is over: calls that run are canceled, and never answered;
 * what they change stays [TURN-6].
 */
export function setAdrift(actor: Incarnation): void {
  for (const turn of actor.mailbox.running) {
    if (turn.id !== 0) turn.cancel(false, true);
    turn.lost = true;
  }
  actor.mailbox.unqueue((turn) => turn.asked);
  actor.ledger.replaceHeld((outputs) => outputs.filter(isRepeatable));
  actor.outbox.rewind();
}

/**
 * rejoin goes on in the session that has adopted the actor: with the connections that still live, the commit that was unanswered, and
 * all that has waited since.
 */
export function rejoin(actor: Incarnation, restored: readonly ConnectionOpen[]): void {
  const { outbox, ledger } = actor;
  const refs = moveConns(actor, restored);
  const readdress = (outputs: Output[]) => outputs.filter((m) => address(actor, m, refs));
  ledger.replaceHeld(readdress);
  outbox.replaceWaiting(outbox.waiting, readdress);
  actor.reads.askAgain();
}

/**
 * moveConns gives the actor's connections their new refs, and has those leave that were not restored. What the gateway has restored
 * and the actor has not is a connection that it has disconnected, and the close was lost: it is closed again.
 */
function moveConns(actor: Incarnation, restored: readonly ConnectionOpen[]): Map<number, number> {
  const alive = new Map(restored.map((m) => [m.connectionId, m]));
  const refs = new Map<number, number>();
  const conns = [...departed(actor), ...actor.conns.all()].filter((conn) => conn.ref !== 0);
  actor.conns.byRef.clear();
  for (const conn of conns) {
    const m = alive.get(conn.id);
    alive.delete(conn.id);
    if (m !== undefined) refs.set(conn.ref, m.connection);
    conn.ref = m?.connection ?? 0;
    if (!conn.visible) continue;
    if (m === undefined) {
      if (conn.accepted) actor.mailbox.leaves(conn); // else its own turn sees to it
      continue;
    }
    actor.conns.byRef.set(conn.ref, conn);
    if (actor.def.connState !== undefined && !sameState(conn, m)) conn.root.touch(); // what was sent since may not have arrived
  }
  for (const m of alive.values()) {
    actor.outbox.wait(undefined, [new Connection(actor, m.connectionId, m.connection, m.params).closeOutput("")]);
  }
  return refs;
}

function sameState(conn: Connection, m: ConnectionOpen): boolean {
  try {
    return m.state !== undefined && Buffer.compare(m.state, conn.root.encode()) === 0;
  } catch {
    return false; // it was made unfit behind its back: the next flush says so
  }
}

/** departed are the connections that the actor has no more, and that something still to be sent speaks of. */
function departed(actor: Incarnation): Connection[] {
  const conns = new Set<Connection>();
  const look = (outputs: Output[]) => {
    for (const m of outputs) {
      if ((m.kind === "connectionState" || m.kind === "connectionClose") && !m.of.visible) conns.add(m.of);
    }
    return outputs;
  };
  actor.ledger.replaceHeld(look);
  for (const group of actor.outbox.waiting) look(group.outputs);
  return [...conns];
}

/** address gives an output the refs of now. false: nobody would get it, or it has become too large. */
function address(actor: Incarnation, m: Output, refs: ReadonlyMap<number, number>): boolean {
  m.actor = actor.port.ref;
  if (m.kind === "connectionState" || m.kind === "connectionClose") {
    m.connection = m.of.ref;
    return m.connection !== 0;
  }
  if (m.kind !== "emit") return true;
  if (m.to !== undefined) {
    m.to = m.to.map((ref) => refs.get(ref) ?? 0).filter((ref) => ref !== 0);
    if (m.to.length === 0) return false;
  }
  return m.args.length <= actor.port.session.limits.maxEvent;
}
