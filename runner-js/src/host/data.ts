import { Root } from "../state/index.ts";
import { fault } from "./fault.ts";
import { isPromise } from "./hook.ts";
import type { Incarnation } from "./incarnation.ts";

/** ActorData is what an actor's code keeps in it: the state, which is tracked, and the vars. */
export class ActorData {
  readonly root: Root;
  /** How much there is for user code: no state yet, no vars yet, all. */
  phase: "bare" | "stateful" | "whole" = "bare";
  readonly #actor: Incarnation;
  #vars: unknown;

  constructor(actor: Incarnation) {
    this.#actor = actor;
    this.root = new Root("state", () => actor.ledger.arm());
  }

  get state(): unknown {
    this.#mustHaveState();
    return this.root.view;
  }

  set state(value: unknown) {
    this.#mustHaveState();
    this.root.replace(value);
  }

  get vars(): unknown {
    this.#mustDeclareVars();
    if (this.phase !== "whole") throw new Error("c.vars is not there before createVars has made it");
    return this.#vars;
  }

  set vars(value: unknown) {
    this.#mustDeclareVars();
    this.#vars = value;
  }

  #mustHaveState(): void {
    const { def, name } = this.#actor;
    if (def.state === undefined) throw fault("state.invalid", `The actor type ${name} declares no state: give state or createState.`);
    if (this.phase === "bare") throw new Error("c.state is not there before createState has made it");
  }

  #mustDeclareVars(): void {
    const { def, name } = this.#actor;
    if (def.vars === undefined) throw fault("state.invalid", `The actor type ${name} declares no vars: give vars or createVars.`);
  }

  /** changed calls onStateChange if the state has changed since it was called last. */
  changed(): void {
    if (!this.root.unseen) return;
    this.root.unseen = false;
    const actor = this.#actor;
    const { onStateChange } = actor.def.hooks;
    if (onStateChange === undefined || this.phase !== "whole" || actor.over) return;
    this.root.locked = "the state cannot be changed in onStateChange";
    const failed = (error: unknown) => actor.report("error", "onStateChange failed", { error });
    try {
      const result = onStateChange(actor.context, this.root.view);
      if (isPromise(result)) Promise.resolve(result).then(undefined, failed); // which nobody waits for
    } catch (error) {
      failed(error);
    } finally {
      this.root.locked = undefined;
    }
  }
}
