import type { StartActor } from "../wire/messages.ts";
import type { ConnectionOpen } from "../wire/messages.ts";
import { Connection } from "./connection.ts";
import { fault, stopped } from "./fault.ts";
import { bounded } from "./hook.ts";
import type { Incarnation } from "./incarnation.ts";
import { decodeValue } from "./payload.ts";
import { Turn } from "./turn.ts";

/** StartTurn brings an actor to life: state, connections and hooks in the order of [LIFE-2]. */
export class StartTurn extends Turn {
  readonly #m: StartActor;
  readonly #restored: readonly ConnectionOpen[];

  constructor(actor: Incarnation, m: StartActor, restored: readonly ConnectionOpen[]) {
    super(actor, true);
    this.#m = m;
    this.#restored = restored;
  }

  begin(): boolean {
    void this.#run();
    return false;
  }

  async #run(): Promise<void> {
    const { actor } = this;
    try {
      this.#restore();
      if (this.#m.create) await this.#create();
      else this.#wake();
      await this.#hooks();
      if (!actor.ledger.flush()) throw stopped(); // so that ActorReady comes behind it [LINK-20]
      if (!actor.over) actor.started();
    } catch (error) {
      actor.startFailed(error);
    }
    actor.mailbox.finished(this);
  }

  #restore(): void {
    const { actor } = this;
    for (const m of this.#restored) {
      const conn = new Connection(actor, m.connectionId, m.connection, m.params);
      conn.restore(m.state);
      conn.accepted = true;
      actor.conns.add(conn);
    }
  }

  /** create makes a new actor's state and commits it: version 1 always has one [STATE-1]. */
  async #create(): Promise<void> {
    const { actor } = this;
    const { state, hooks, options } = actor.def;
    const input = this.#input();
    if (state !== undefined) {
      const value =
        state.kind === "value"
          ? structuredClone(state.value)
          : await bounded("createState", options.createStateTimeout, state.create(actor.context, input));
      actor.root.replace(value);
    }
    actor.data.phase = "stateful";
    if (hooks.onCreate !== undefined) await bounded("onCreate", options.onCreateTimeout, hooks.onCreate(actor.context, input));
    actor.bear();
    if (!actor.ledger.flush()) throw stopped();
  }

  #input(): unknown {
    try {
      return decodeValue(this.#m.input);
    } catch (error) {
      throw fault("request.invalid_payload", `The input cannot be decoded: ${(error as Error).message}.`);
    }
  }

  #wake(): void {
    const { actor } = this;
    try {
      actor.root.reset(decodeValue(this.#m.state));
    } catch (error) {
      throw fault("state.invalid", `The actor's state cannot be decoded: ${(error as Error).message}.`);
    }
    actor.data.phase = "stateful";
    actor.born = true;
  }

  async #hooks(): Promise<void> {
    const { actor } = this;
    const { vars, hooks, options } = actor.def;
    if (vars !== undefined) {
      actor.data.phase = "stateful";
      actor.data.vars =
        vars.kind === "value" ? structuredClone(vars.value) : await bounded("createVars", options.createVarsTimeout, vars.create(actor.context));
    }
    actor.data.phase = "whole";
    if (hooks.onWake !== undefined) await bounded("onWake", options.onWakeTimeout, hooks.onWake(actor.context));
  }
}
