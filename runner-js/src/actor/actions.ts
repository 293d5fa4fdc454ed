import type { UserFunction } from "./definition.ts";
import { isPlainObject, kindOf } from "./keys.ts";

/** What the gateway takes as an action's name, in bytes of UTF-8. */
const maxActionBytes = 128;

/** For what JavaScript asks any object: a handle that had it would be taken for a promise, or for what makes its own JSON. */
const unserved = new Set(["then", "toJSON"]);

/** Whether a client can have a member of this name for an actor type or an action. */
export function isServed(name: string): boolean {
  return !unserved.has(name) && !(name in Object.prototype);
}

/** Flattens groups to dotted names, and refuses what cannot be served. */
export function flattenActions(actions: unknown): ReadonlyMap<string, UserFunction> {
  const flat = new Map<string, UserFunction>();
  const groups = new Set<object>();
  const walk = (group: unknown, prefix: string): void => {
    if (!isPlainObject(group)) {
      throw new TypeError(`actor(): ${where(prefix)} must be an object of functions, and is ${kindOf(group)}`);
    }
    if (groups.has(group)) throw new TypeError(`actor(): ${where(prefix)} contains itself`);
    groups.add(group);
    for (const [key, value] of Object.entries(group)) {
      const name = prefix + key;
      checkSegment(key, name);
      if (typeof value === "function") add(name, value as UserFunction);
      else if (isPlainObject(value)) walk(value, `${name}.`);
      else throw new TypeError(`actor(): action ${JSON.stringify(name)} must be a function or a group of functions, and is ${kindOf(value)}`);
    }
    groups.delete(group);
  };
  const add = (name: string, action: UserFunction): void => {
    if (flat.has(name)) throw new TypeError(`actor(): two actions are called ${JSON.stringify(name)}: one by its name, one by its group`);
    flat.set(name, action);
  };
  walk(actions, "");
  return flat;
}

function where(prefix: string): string {
  return prefix === "" ? "actions" : `the group of actions ${JSON.stringify(prefix.slice(0, -1))}`;
}

function checkSegment(key: string, name: string): void {
  if (key === "") throw new TypeError(`actor(): an action ${name === "" ? "" : `in ${JSON.stringify(name)} `}has an empty name`);
  const reserved = name.split(".").find((part, i) => (i === 0 ? !isServed(part) : unserved.has(part)));
  if (reserved !== undefined) {
    throw new TypeError(`actor(): action ${JSON.stringify(name)}: JavaScript itself asks every object for ${reserved}; choose another name`);
  }
  if (/^\.+$/.test(name)) throw new TypeError(`actor(): an action has a name only of dots, which no URL can carry`);
  if (/\p{Surrogate}/u.test(name)) throw new TypeError(`actor(): action ${JSON.stringify(name)}: the name is not valid Unicode`);
  const bytes = new TextEncoder().encode(name).length;
  if (bytes > maxActionBytes) {
    throw new TypeError(`actor(): action ${JSON.stringify(name)}: the name has ${bytes} bytes, ${maxActionBytes} at most`);
  }
}
