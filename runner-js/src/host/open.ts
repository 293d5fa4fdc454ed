import type { ConnectionOpen } from "../wire/messages.ts";
import { now } from "./clock.ts";
import { Connection } from "./connection.ts";
import { ConnContext } from "./context.ts";
import { fault, tell, wireFault } from "./fault.ts";
import { bounded } from "./hook.ts";
import type { Incarnation } from "./incarnation.ts";
import { Turn } from "./turn.ts";

/** OpenTurn attaches a client [CONN-1]. */
export class OpenTurn extends Turn {
  /** The client has left meanwhile. */
  left = false;
  readonly #m: ConnectionOpen;
  readonly #deadline: number;
  #conn: Connection | undefined;

  constructor(actor: Incarnation, m: ConnectionOpen) {
    super(actor, actor.type.serial);
    this.#m = m;
    this.#deadline = m.deadlineMs === 0 ? 0 : now() + m.deadlineMs;
  }

  override get id(): number {
    return this.#m.call;
  }

  override get asked(): boolean {
    return true;
  }

  /** The ref of the connection. */
  get ref(): number {
    return this.#m.connection;
  }

  begin(): boolean {
    if (this.#deadline !== 0 && now() >= this.#deadline) {
      this.cancel(true, false);
      return true;
    }
    void this.#run();
    return false;
  }

  override cancel(late: boolean, began: boolean): void {
    const code = late ? "action.timed_out" : "action.canceled";
    const { outbox, port } = this.actor;
    if (!began) outbox.say({ kind: "callResult", actor: port.ref, id: this.id, error: wireFault(code, "no") });
  }

  async #run(): Promise<void> {
    const { actor } = this;
    try {
      const conn = await this.#accept();
      if (!actor.over) this.#accepted(conn);
    } catch (error) {
      if (!actor.over) this.#refused(error);
    }
    actor.mailbox.finished(this);
  }

  /** accept runs the hooks of an open. The connection is visible from onConnect on. */
  async #accept(): Promise<Connection> {
    const { actor } = this;
    const m = this.#m;
    const { hooks, options } = actor.def;
    const conn = new Connection(actor, m.connectionId, m.connection, m.params);
    const context = new ConnContext(actor, m);
    const params = paramsOf(conn);
    if (hooks.onBeforeConnect !== undefined) {
      await bounded("onBeforeConnect", this.#limit(options.onBeforeConnectTimeout), hooks.onBeforeConnect(context, params));
    }
    await this.#firstState(conn, context, params);
    if (actor.over) return conn;
    this.#conn = conn;
    if (this.lost) conn.ref = 0;
    actor.conns.add(conn);
    if (hooks.onConnect !== undefined) await bounded("onConnect", this.#limit(options.onConnectTimeout), hooks.onConnect(context, conn.outer));
    return conn;
  }

  /** limit is the time of a hook: the open is answered by its deadline [LIFE-12]. */
  #limit(timeoutMs: number): number {
    return this.#deadline === 0 ? timeoutMs : Math.min(timeoutMs, Math.max(0, Math.ceil(this.#deadline - now())));
  }

  async #firstState(conn: Connection, context: ConnContext, params: unknown): Promise<void> {
    const { connState, options } = this.actor.def;
    if (connState === undefined) return;
    const state =
      connState.kind === "value"
        ? structuredClone(connState.value)
        : await bounded("createConnState", this.#limit(options.createConnStateTimeout), connState.create(context, params));
    conn.root.replace(state);
  }

  /** accepted answers; what is sent about the connection follows. */
  #accepted(conn: Connection): void {
    const { actor } = this;
    const { ledger, def } = actor;
    let state;
    try {
      if (def.connState !== undefined && conn.ref !== 0) state = conn.stateOutput();
    } catch (error) {
      return this.#refused(error);
    }
    if (this.lost) conn.unrecorded = true;
    else if (def.hooks.onDisconnect !== undefined) ledger.changes().accept(conn.id);
    if (this.lost && conn.ref !== 0) actor.conns.unref(conn); // nobody will know that it was accepted, but the actor does
    else if (!this.lost) ledger.output({ kind: "callResult", actor: actor.port.ref, id: this.id });
    conn.accepted = true;
    if (state !== undefined && !this.lost) ledger.output(state);
    if (conn.closed !== undefined) conn.close(conn.closed);
    else if (this.left || this.lost) actor.mailbox.leaves(conn);
  }

  #refused(thrown: unknown): void {
    const { actor } = this;
    const conn = this.#conn;
    if (conn?.visible === true) actor.conns.remove(conn);
    if (this.lost) return;
    const { error, hidden } = tell(thrown, "yes", actor.port.session);
    if (hidden) actor.report("error", "a connection was refused by an error", { error: thrown });
    actor.ledger.output({ kind: "callResult", actor: actor.port.ref, id: this.id, error });
  }
}

function paramsOf(conn: Connection): unknown {
  try {
    return conn.params;
  } catch (error) {
    throw fault("request.invalid_payload", `The connection's params cannot be decoded: ${(error as Error).message}.`);
  }
}
