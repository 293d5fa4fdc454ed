import type { EventType } from "./event.ts";
import type { Durability } from "./options.ts";

/** A function of the user, as the host calls it: the context first. */
export type UserFunction = (c: object, ...args: unknown[]) => unknown;

/** A first value: cloned for each actor or connection, or made by the user's function. */
export type Initial =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "create"; readonly create: UserFunction };

/** The hooks that have no other place in a Definition; undefined: not given. */
export interface Hooks {
  /** (c, input) */
  readonly onCreate: UserFunction | undefined;
  /** (c) */
  readonly onWake: UserFunction | undefined;
  /** (c) */
  readonly onSleep: UserFunction | undefined;
  /** (c) */
  readonly onDestroy: UserFunction | undefined;
  /** (c, state), synchronous */
  readonly onStateChange: UserFunction | undefined;
  /** (c, params) */
  readonly onBeforeConnect: UserFunction | undefined;
  /** (c, conn) */
  readonly onConnect: UserFunction | undefined;
  /** (c, conn) */
  readonly onDisconnect: UserFunction | undefined;
  /** (c, name, args, output) → the output to send */
  readonly onBeforeActionResponse: UserFunction | undefined;
}

/** How the actors of a type are run. Times in milliseconds. */
export interface DefinitionOptions {
  readonly createStateTimeout: number;
  readonly createVarsTimeout: number;
  readonly createConnStateTimeout: number;
  readonly onCreateTimeout: number;
  readonly onWakeTimeout: number;
  readonly onSleepTimeout: number;
  readonly onDestroyTimeout: number;
  readonly onBeforeConnectTimeout: number;
  /** Also bounds onDisconnect. */
  readonly onConnectTimeout: number;
  readonly actionTimeout: number;
  readonly sleepTimeout: number | undefined;
  /** How long `run` may take to return after the abort signal. */
  readonly runStopTimeout: number;
  readonly noSleep: boolean;
  /** undefined: the gateway's. */
  readonly maxCalls: number | undefined;
  readonly concurrency: "interleaved" | "serial";
  /** undefined: the store's default. */
  readonly durability: Durability | undefined;
}

/** The checked, flattened form of `actor({...})`: what the host runs. It has no name of its own; `setup({ use })` gives it one. */
export interface Definition {
  /** By dotted name. */
  readonly actions: ReadonlyMap<string, UserFunction>;
  /** The declared events by name; undefined: none are declared, and all are allowed. */
  readonly events: ReadonlyMap<string, EventType<unknown>> | undefined;
  /** `create` is called (c, input). */
  readonly state: Initial | undefined;
  /** `create` is called (c). */
  readonly vars: Initial | undefined;
  /** `create` is called (c, params). */
  readonly connState: Initial | undefined;
  readonly hooks: Hooks;
  readonly run: UserFunction | undefined;
  /** For display. */
  readonly displayName: string | undefined;
  /** For display. */
  readonly icon: string | undefined;
  readonly options: DefinitionOptions;
}
