import type { GoneConnection } from "../wire/messages.ts";
import { Connection } from "./connection.ts";
import { bounded } from "./hook.ts";
import type { Incarnation } from "./incarnation.ts";
import { OpenTurn } from "./open.ts";
import { Turn } from "./turn.ts";

/**
 * GoneTurn is the turn of a connection that has left, by its client's or the actor's will, or before this start. It is onDisconnect's
 * one chance: its failure changes nothing [CONN-4].
 */
export class GoneTurn extends Turn {
  readonly #find: (() => Connection | undefined) | undefined;
  readonly #conn: Connection | undefined;
  /** A ref of its session says whom it is about. */
  #byRef = false;

  private constructor(actor: Incarnation, alone: boolean, conn: Connection | undefined, find?: () => Connection | undefined) {
    super(actor, alone);
    this.#conn = conn;
    this.#find = find;
  }

  /** of is the turn of a connection whose onDisconnect is certain. */
  static of(conn: Connection): GoneTurn {
    return new GoneTurn(conn.actor, conn.actor.type.serial, conn);
  }

  /** byRef is the turn of a connection that the gateway says has gone. */
  static byRef(actor: Incarnation, ref: number): GoneTurn {
    const turn = new GoneTurn(actor, actor.type.serial, undefined, () => find(actor, ref));
    turn.#byRef = true;
    return turn;
  }

  /** before is the turn of a connection that left while nobody hosted the actor: it comes before other turns [CONN-7]. */
  static before(actor: Incarnation, m: GoneConnection): GoneTurn {
    return new GoneTurn(actor, true, undefined, () => {
      const conn = new Connection(actor, m.connectionId, 0, m.params);
      try {
        conn.restore(m.state);
      } catch (error) {
        actor.report("warn", "a connection that has left comes without its state", { error });
      }
      return conn;
    });
  }

  /** The connection, if it is known already. */
  get left(): Connection | undefined {
    return this.#conn;
  }

  override get asked(): boolean {
    return this.#byRef;
  }

  begin(): boolean {
    const { actor } = this;
    const conn = this.#conn ?? this.#find?.();
    if (conn === undefined) return true;
    if (conn.visible) actor.conns.remove(conn);
    if (actor.def.hooks.onDisconnect === undefined) return true;
    void disconnected(actor, conn).then(() => actor.mailbox.finished(this));
    return false;
  }
}

/** find is the connection of a ref, unless its onDisconnect is queued already. */
function find(actor: Incarnation, ref: number): Connection | undefined {
  const conn = actor.conns.byRef.get(ref);
  if (conn !== undefined && conn.accepted) {
    if (conn.leaving) return undefined;
    conn.leaving = true;
    return conn;
  }
  for (const turn of actor.mailbox.running) {
    if (turn instanceof OpenTurn && turn.ref === ref && !turn.lost) turn.left = true;
  }
  return undefined;
}

/** disconnected runs onDisconnect, and has a commit say so [CONN-7]. It does not reject. */
export async function disconnected(actor: Incarnation, conn: Connection): Promise<void> {
  const { hooks, options } = actor.def;
  try {
    await bounded("onDisconnect", options.onConnectTimeout, hooks.onDisconnect?.(actor.context, conn.outer));
  } catch (error) {
    actor.report("error", "onDisconnect failed", { error });
  }
  if (actor.over || conn.unrecorded || actor.conns.records(conn.id)) return;
  actor.ledger.changes().removed.add(conn.id);
}
