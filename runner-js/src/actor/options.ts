import type { DefinitionOptions } from "./definition.ts";
import { isPlainObject, kindOf, refuseUnknownKeys } from "./keys.ts";

/** When a commit counts as acknowledged [CLASS-1]. */
export type Durability = "volatile" | "fast" | "disk" | "replicated";

/** The options of an actor type: `actor({ options })`. Times in milliseconds. */
export type ActorOptions = Partial<DefinitionOptions>;

/** What holds where an option is not given. */
export const defaultOptions: DefinitionOptions = Object.freeze({
  createStateTimeout: 5_000,
  createVarsTimeout: 5_000,
  createConnStateTimeout: 5_000,
  onCreateTimeout: 5_000,
  onWakeTimeout: 30_000,
  onSleepTimeout: 5_000,
  onDestroyTimeout: 5_000,
  onBeforeConnectTimeout: 5_000,
  onConnectTimeout: 5_000,
  actionTimeout: 60_000,
  sleepTimeout: undefined,
  runStopTimeout: 5_000,
  noSleep: false,
  maxCalls: undefined,
  concurrency: "interleaved",
  durability: undefined,
});

const choices: Readonly<Record<string, readonly string[]>> = {
  concurrency: ["interleaved", "serial"],
  durability: ["volatile", "fast", "disk", "replicated"],
};

/** The longest time that a timer takes. */
const maxTimeoutMs = 2 ** 31 - 1;

/** Checks `options` and fills them up with the defaults. */
export function checkOptions(given: unknown): DefinitionOptions {
  if (given === undefined) return defaultOptions;
  if (!isPlainObject(given)) throw new TypeError(`actor(): options must be an object, and is ${kindOf(given)}`);
  refuseUnknownKeys("actor(): options", given, Object.keys(defaultOptions));
  const options: Record<string, unknown> = { ...defaultOptions };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    checkOption(name, value);
    options[name] = value;
  }
  return Object.freeze(options) as unknown as DefinitionOptions;
}

function checkOption(name: string, value: unknown): void {
  const allowed = choices[name];
  if (allowed !== undefined) {
    if (!allowed.includes(value as string)) throw wrong(name, value, `one of ${allowed.join(", ")}`);
  } else if (name === "noSleep") {
    if (typeof value !== "boolean") throw wrong(name, value, "true or false");
  } else if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > maxTimeoutMs) {
    throw wrong(name, value, name === "maxCalls" ? "a whole number from 1 on" : "a whole number of milliseconds from 1 on");
  }
}

function wrong(name: string, value: unknown, want: string): TypeError {
  return new TypeError(`actor(): options: ${name} must be ${want}, and is ${typeof value === "string" ? JSON.stringify(value) : String(value)}`);
}
