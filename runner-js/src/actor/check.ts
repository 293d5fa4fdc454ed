import { encodeState } from "@stagedoor/client/values";
import { flattenActions } from "./actions.ts";
import type { Definition, Hooks, Initial, UserFunction } from "./definition.ts";
import type { EventType } from "./event.ts";
import { isPlainObject, kindOf, refuseUnknownKeys } from "./keys.ts";
import { checkOptions } from "./options.ts";

const hookNames = [
  "onCreate",
  "onWake",
  "onSleep",
  "onDestroy",
  "onStateChange",
  "onBeforeConnect",
  "onConnect",
  "onDisconnect",
  "onBeforeActionResponse",
] as const satisfies readonly (keyof Hooks)[];

const known = ["state", "createState", "vars", "createVars", "connState", "createConnState", "actions", "events", "options", "run", ...hookNames];

/** Keys of the reference that this version does not have. */
const later = {
  onRequest: "raw HTTP handlers come with a later version",
  onWebSocket: "raw WebSocket handlers come with a later version",
  queues: "queues come with a later version",
  db: "databases come with a later version",
};

/** What an event's name may have, in bytes of UTF-8 [CONN-9]. */
const maxEventBytes = 128;

const checked = new WeakSet<object>();

/** Whether a value was made by `actor()` of this package. */
export function isDefinition(value: unknown): value is Definition {
  return typeof value === "object" && value !== null && checked.has(value);
}

/** Checks what `actor()` was given and flattens it. What is wrong is a TypeError. */
export function checkDefinition(config: unknown): Definition {
  if (!isPlainObject(config)) throw new TypeError(`actor() takes an object, not ${kindOf(config)}`);
  refuseUnknownKeys("actor()", config, known, later);
  const definition: Definition = Object.freeze({
    actions: flattenActions(config["actions"]),
    events: declaredEvents(config["events"]),
    state: initial(config, "state", "createState", storable),
    vars: initial(config, "vars", "createVars", copyable),
    connState: initial(config, "connState", "createConnState", storable),
    hooks: Object.freeze(Object.fromEntries(hookNames.map((name) => [name, hook(config, name)]))) as unknown as Hooks,
    ...running(config["run"]),
    options: checkOptions(config["options"]),
  });
  checked.add(definition);
  return definition;
}

/** The value under one name, copied, or the function under the other. */
function initial(config: Record<string, unknown>, fixed: string, creator: string, copy: (name: string, v: unknown) => unknown): Initial | undefined {
  const create = hook(config, creator);
  if (config[fixed] === undefined) return create && Object.freeze({ kind: "create", create });
  if (create !== undefined) {
    throw new TypeError(`actor(): ${fixed} and ${creator} are both given, of which only one counts; leave ${fixed} out if ${creator} makes it`);
  }
  return Object.freeze({ kind: "value", value: copy(fixed, config[fixed]) });
}

/** The copy of a value that can be stored, else a TypeError with the path. */
function storable(name: string, value: unknown): unknown {
  encodeState(value, { root: name });
  return structuredClone(value);
}

function copyable(name: string, value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch (cause) {
    throw new TypeError(`actor(): ${name} cannot be copied for each actor; make them with createVars`, { cause });
  }
}

function hook(config: Record<string, unknown>, name: string): UserFunction | undefined {
  const value = config[name];
  if (value !== undefined && typeof value !== "function") {
    throw new TypeError(`actor(): ${name} must be a function, and is ${kindOf(value)}`);
  }
  return value as UserFunction | undefined;
}

function declaredEvents(events: unknown): Definition["events"] {
  if (events === undefined) return undefined;
  if (!isPlainObject(events)) throw new TypeError(`actor(): events must be an object, and is ${kindOf(events)}`);
  const names = Object.keys(events);
  if (names.length === 0) throw new TypeError("actor(): events is empty; leave it out if every event may be sent");
  for (const name of names) {
    const bytes = new TextEncoder().encode(name).length;
    if (bytes < 1 || bytes > maxEventBytes || /\p{Surrogate}/u.test(name)) {
      throw new TypeError(`actor(): events: ${JSON.stringify(name)} is not a name of 1 to ${maxEventBytes} bytes of valid Unicode`);
    }
    const value = events[name];
    if (!isPlainObject(value) || value["kind"] !== "event") {
      throw new TypeError(`actor(): events: ${JSON.stringify(name)} is declared by event<Payload>(), and is ${kindOf(value)}`);
    }
  }
  return new Map(Object.entries(events as Record<string, EventType<unknown>>));
}

type Running = Pick<Definition, "run" | "displayName" | "icon">;

function running(run: unknown): Running {
  if (run === undefined || typeof run === "function") {
    return { run: run as UserFunction | undefined, displayName: undefined, icon: undefined };
  }
  if (!isPlainObject(run)) throw new TypeError(`actor(): run must be a function or {name, icon, run}, and is ${kindOf(run)}`);
  refuseUnknownKeys("actor(): run", run, ["name", "icon", "run"]);
  if (typeof run["run"] !== "function") throw new TypeError("actor(): run must have a function run");
  return { run: run["run"] as UserFunction, displayName: text(run, "name"), icon: text(run, "icon") };
}

function text(run: Record<string, unknown>, name: string): string | undefined {
  const value = run[name];
  if (value !== undefined && typeof value !== "string") throw new TypeError(`actor(): run: ${name} must be text, and is ${kindOf(value)}`);
  return value;
}
