import { isServed } from "../actor/actions.ts";
import { isDefinition } from "../actor/check.ts";
import { isPlainObject, kindOf, refuseUnknownKeys } from "../actor/keys.ts";
import { checkOptionTypes, resolveConfig } from "./config.ts";
import type { RegistryOptions } from "./config.ts";
import { isName } from "./endpoint.ts";
import { makeRegistry } from "./registry.ts";
import type { Registry, Use } from "./registry.ts";
import { settings } from "./settings.ts";

/** What `setup()` takes. */
export interface SetupOptions<U extends Use> extends RegistryOptions {
  /** The actor types by the names under which they are hosted: 1 to 64 of [A-Za-z0-9_.-], not only dots [ADDR-1]. */
  readonly use: U;
}

/**
 * Says which actor types this process hosts, and where. It starts nothing; what is wrong with the options is a TypeError.
 * Options that are not given come from the environment, at the first use.
 */
export function setup<const U extends Use>(options: SetupOptions<U>): Registry<U> {
  if (!isPlainObject(options)) throw new TypeError(`setup() takes an object, not ${kindOf(options)}`);
  refuseUnknownKeys("setup()", options, ["use", ...settings.map((setting) => setting.option)]);
  const { use, ...rest } = options;
  checkUse(use);
  checkOptionTypes(rest);
  resolveConfig(rest, {}); // what is wrong without an environment is wrong with one
  return makeRegistry<U>(Object.freeze({ ...use }), rest);
}

function checkUse(use: unknown): void {
  if (!isPlainObject(use)) throw new TypeError(`setup(): use must be an object of actor types by name, and is ${kindOf(use)}`);
  const names = Object.keys(use);
  if (names.length === 0) throw new TypeError("setup(): use is empty: a runner needs an actor type");
  for (const name of names) {
    if (!isName(name)) throw new TypeError(`setup(): use: ${JSON.stringify(name)} is not 1 to 64 of [A-Za-z0-9_.-], not only dots`);
    if (!isServed(name)) throw new TypeError(`setup(): use: JavaScript itself asks every object for ${name}; choose another name`);
    if (!isDefinition(use[name])) throw new TypeError(`setup(): use: ${name} was not made by actor() of this package`);
  }
}
