import type { Definition } from "../actor/definition.ts";
import type { Logger } from "../actor/log.ts";
import type { Host, Port, Seat } from "../link/port.ts";
import { allowClones } from "../state/index.ts";
import type { ActorTypeInfo, StartActor } from "../wire/messages.ts";
import { Incarnation } from "./incarnation.ts";
import type { Ledger } from "./ledger.ts";
import { ActorType } from "./type.ts";

/** HostOptions of createHost. */
export interface HostOptions {
  readonly log: Logger;
  /**
   * Makes what `c.client()` gives, once per actor. Before each call of it leaves, `settle` is called and awaited: then what the actor
   * has changed is durable [FLUSH-1]; undefined: it is already.
   */
  readonly clientFor?: (settle: () => Promise<void> | undefined) => object;
}

/** ActorHost runs the actors of a runner. */
export class ActorHost implements Host {
  readonly log: Logger;
  readonly types: readonly ActorTypeInfo[];
  readonly #byName = new Map<string, ActorType>();
  readonly #actors = new Set<Incarnation>();
  readonly #clientFor: HostOptions["clientFor"];
  #due: Ledger[] = [];
  #armed = false;

  constructor(definitions: Readonly<Record<string, Definition>>, options: HostOptions) {
    allowClones();
    this.log = options.log;
    this.#clientFor = options.clientFor;
    for (const [name, def] of Object.entries(definitions)) this.#byName.set(name, new ActorType(name, def));
    this.types = [...this.#byName.values()].map((type) => type.info);
  }

  /** How many actors are in memory. */
  get size(): number {
    return this.#actors.size;
  }

  start(m: StartActor, port: Port): Seat {
    const type = this.#byName.get(m.type);
    if (type === undefined) throw new Error(`the gateway started an actor of the type ${m.type}, which this runner did not announce`);
    const actor = new Incarnation(this, type, m, port);
    if (!actor.over) this.#actors.add(actor);
    return actor;
  }

  /** forget an actor that is over. */
  forget(actor: Incarnation): void {
    this.#actors.delete(actor);
  }

  /** clientFor makes what `c.client()` gives to an actor. */
  clientFor(settle: () => Promise<void> | undefined): object {
    if (this.#clientFor === undefined) throw new Error("c.client() needs a runner that knows its endpoint");
    return this.#clientFor(settle);
  }

  /** atTickEnd has a ledger flushed behind everything that is ready to run now [FLUSH-2]. */
  atTickEnd(ledger: Ledger): void {
    this.#due.push(ledger);
    if (this.#armed) return;
    this.#armed = true;
    setImmediate(() => {
      this.#armed = false;
      const due = this.#due;
      this.#due = [];
      for (const ledger of due) ledger.tick();
    });
  }
}

/** createHost makes the host of the actor types, by their names. */
export function createHost(definitions: Readonly<Record<string, Definition>>, options: HostOptions): ActorHost {
  return new ActorHost(definitions, options);
}
