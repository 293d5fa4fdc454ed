import type { Conn, Connection } from "./connection.ts";
import type { Incarnation } from "./incarnation.ts";
import type { ConnOutput } from "./output.ts";

/** ConnMap is what user code sees: a Map that it cannot change. */
class ConnMap extends Map<string, Conn> {
  override set(): never {
    throw new TypeError("c.conns cannot be changed: connections come by themselves, and go by conn.disconnect()");
  }
  override delete(): never {
    return this.set();
  }
  override clear(): never {
    return this.set();
  }
}

/** Connections are the accepted connections of an actor, in the order in which they came. */
export class Connections {
  readonly visible: ReadonlyMap<string, Conn> = new ConnMap();
  readonly byRef = new Map<number, Connection>();
  readonly #actor: Incarnation;
  readonly #byId = new Map<string, Connection>();
  /** Whose state was written to since the last flush. */
  #touched: Connection[] = [];

  constructor(actor: Incarnation) {
    this.#actor = actor;
  }

  /** dirty tells whether a connection's state is to be sent. */
  get dirty(): boolean {
    return this.#touched.length > 0;
  }

  all(): Connection[] {
    return [...this.#byId.values()];
  }

  /** records tells whether a connection of the id is in the actor's record: an open that was lost may have come again under its id. */
  records(id: string): boolean {
    const conn = this.#byId.get(id);
    return conn?.accepted === true && !conn.unrecorded;
  }

  add(conn: Connection): void {
    const before = this.#byId.get(conn.id);
    if (before !== undefined) this.remove(before);
    conn.visible = true;
    this.#byId.set(conn.id, conn);
    Map.prototype.set.call(this.visible, conn.id, conn.outer);
    if (conn.ref !== 0) this.byRef.set(conn.ref, conn);
  }

  remove(conn: Connection): void {
    if (!conn.visible) return;
    conn.visible = false;
    this.#byId.delete(conn.id);
    Map.prototype.delete.call(this.visible, conn.id);
    if (this.byRef.get(conn.ref) === conn) this.byRef.delete(conn.ref);
  }

  /** unref: the gateway has the connection no more. */
  unref(conn: Connection): void {
    if (this.byRef.get(conn.ref) === conn) this.byRef.delete(conn.ref);
    conn.ref = 0;
  }

  /** touch has the connection's state sent with the next flush. */
  touch(conn: Connection): void {
    if (!conn.accepted) return; // its open sends it
    this.#touched.push(conn);
    this.#actor.ledger.arm();
  }

  /** changedStates are the outputs that keep the states that were written to. One that is too large is logged, and not kept. */
  changedStates(): ConnOutput[] {
    if (this.#touched.length === 0) return [];
    const outputs: ConnOutput[] = [];
    try {
      this.sendStates((m) => outputs.push(m));
    } catch (error) {
      this.#actor.report("error", "a connection's state cannot be kept", { error });
      return [...outputs, ...this.changedStates()];
    }
    return outputs;
  }

  /** sendStates is changedStates for a turn, which fails with the error. */
  sendStates(send: (m: ConnOutput) => void): void {
    for (let conn = this.#touched.shift(); conn !== undefined; conn = this.#touched.shift()) {
      if (conn.visible && conn.ref !== 0 && conn.root.dirty) send(conn.stateOutput());
      else conn.root.dirty = false;
    }
  }
}
