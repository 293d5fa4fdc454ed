import type { Call } from "../wire/messages.ts";
import { later, now } from "./clock.ts";
import type { Timer } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { ActionContext } from "./context.ts";
import { fault, tell, wireFault } from "./fault.ts";
import { isPromise } from "./hook.ts";
import type { Incarnation } from "./incarnation.ts";
import type { Output } from "./output.ts";
import { decodeValue, encodeValue } from "./payload.ts";
import { Turn } from "./turn.ts";

/** A function takes no more than the stack holds. */
const maxArguments = 1 << 14;

/** Why an action does not begin. */
type Unrun = "action.timed_out" | "action.canceled" | "action.invalid_arguments" | "actor.action_not_found";

/** CallTurn runs an action. */
export class CallTurn extends Turn {
  /** The connection on which the call came. */
  conn: Connection | undefined;
  readonly #m: Call;
  /** On the clock of now(); 0: none. */
  readonly #deadline: number;
  #args: unknown[] = [];
  #answered = false;
  #timer: Timer | undefined;
  #abort: AbortController | undefined;
  #aborted = false;

  constructor(actor: Incarnation, m: Call) {
    super(actor, actor.type.serial);
    this.#m = m;
    this.#deadline = m.deadlineMs === 0 ? 0 : now() + m.deadlineMs;
  }

  override get id(): number {
    return this.#m.id;
  }

  override get asked(): boolean {
    return true;
  }

  /** The signal that this call, or the actor, is over. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#aborted || this.actor.halting) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  begin(): boolean {
    const { actor } = this;
    const m = this.#m;
    const action = actor.def.actions.get(m.action);
    if (action === undefined) this.#unrun("actor.action_not_found", `The actor type ${actor.name} has no action "${m.action}".`);
    if (action === undefined || !this.#prepare()) return true;
    try {
      const output = action(new ActionContext(actor, this), ...this.#args);
      return isPromise(output) ? this.#await(output, (value) => this.#respond(value)) : this.#respond(output);
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** prepare finds what keeps the call from running after all, and decodes the arguments. */
  #prepare(): boolean {
    const { actor } = this;
    const m = this.#m;
    if (this.#deadline !== 0 && now() >= this.#deadline) return this.#unrun("action.timed_out");
    if (m.connection !== 0) {
      this.conn = actor.conns.byRef.get(m.connection); // it is gone if the client left while the call waited
      if (this.conn === undefined) return this.#unrun("action.canceled");
    }
    try {
      const args = decodeValue(m.args) ?? [];
      if (!Array.isArray(args)) throw new TypeError("the arguments are no array");
      if (args.length > maxArguments) throw new TypeError(`there are more than ${maxArguments}`);
      this.#args = args as unknown[];
      return true;
    } catch (error) {
      return this.#unrun("action.invalid_arguments", `The arguments do not fit: ${(error as Error).message}.`);
    }
  }

  /** unrun answers a call whose action does not begin, behind what the turns before it have sent. */
  #unrun(code: Unrun, message = ""): false {
    this.#answered = true;
    if (!this.lost) this.actor.ledger.output(this.#refusal(code, message));
    return false;
  }

  #refusal(code: Unrun, message = ""): Output {
    return { kind: "callResult", actor: this.actor.port.ref, id: this.id, error: wireFault(code, "no", message) };
  }

  #respond(output: unknown): boolean {
    const hook = this.actor.def.hooks.onBeforeActionResponse;
    if (hook === undefined) return this.#finish(output);
    try {
      const replaced = hook(this.actor.context, this.#m.action, this.#args, output);
      return isPromise(replaced) ? this.#await(replaced, (value) => this.#finish(value)) : this.#finish(replaced);
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** await goes on when a promise of the user's is settled; the first one of a turn has its time measured. */
  #await(promise: PromiseLike<unknown>, then: (value: unknown) => boolean): false {
    this.#timer ??= later(this.#remaining(), () => this.#timeOut());
    void Promise.resolve(promise).then( // which settles later, whatever it is
      (value) => {
        if (!this.#answered && then(value)) this.#end();
      },
      (error: unknown) => {
        if (!this.#answered && this.#fail(error)) this.#end();
      },
    );
    return false;
  }

  #remaining(): number {
    const limit = this.actor.def.options.actionTimeout;
    return this.#deadline === 0 ? limit : Math.min(limit, Math.max(0, this.#deadline - now()));
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.actor.mailbox.finished(this);
  }

  #finish(value: unknown): true {
    const { actor } = this;
    try {
      actor.conns.sendStates((m) => actor.ledger.output(m));
      const output = value === undefined || this.#m.oneway ? undefined : encodeValue(value, "output");
      const limit = actor.port.session.limits.maxOutput;
      if (output !== undefined && output.length > limit) {
        throw fault("action.result_too_large", `The result of ${this.#m.action} has ${output.length} bytes, at most ${limit} are allowed.`);
      }
      actor.data.changed();
      this.#answered = true;
      if (!this.lost) actor.ledger.output({ kind: "callResult", actor: actor.port.ref, id: this.id, output });
    } catch (error) {
      return this.#fail(error);
    }
    return true;
  }

  #fail(thrown: unknown): true {
    const { actor } = this;
    this.#answered = true;
    actor.data.changed();
    if (this.lost) return true;
    const { error, hidden } = tell(this.#canceledBy(thrown) ? fault("action.canceled") : thrown, "yes", actor.port.session);
    if (hidden) actor.report("error", "an action failed", { action: this.#m.action, error: thrown });
    actor.ledger.output({ kind: "callResult", actor: actor.port.ref, id: this.id, error });
    return true;
  }

  /** canceledBy recognises user code that gave up because its signal was aborted. */
  #canceledBy(thrown: unknown): boolean {
    const signal = this.#abort?.signal;
    if (signal?.aborted !== true || this.actor.halting) return false;
    return thrown === signal.reason || (thrown as Error | undefined)?.name === "AbortError";
  }

  #timeOut(): void {
    if (this.#answered) return;
    this.#fail(fault("action.timed_out"));
    this.#cut(new DOMException("the action took too long", "TimeoutError"));
    this.#end();
  }

  override cancel(late: boolean, began: boolean): void {
    if (!began) this.actor.outbox.say(this.#refusal(late ? "action.timed_out" : "action.canceled"));
    else if (late) this.#timeOut();
    else this.#cut();
  }

  override halt(): void {
    this.#cut();
  }

  /** cut aborts the signal: the action is to give up. */
  #cut(reason?: DOMException): void {
    this.#aborted = true;
    this.#abort?.abort(reason);
  }
}
