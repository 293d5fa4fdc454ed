// Objects whose properties are the actions of an actor.

/** Invoke calls an action by its full name. */
export type Invoke = (name: string, args: unknown[]) => Promise<unknown>;

/**
 * Names that are no actions: await asks whatever it gets for `then`, JSON.stringify for `toJSON`. The names that every object
 * has are none either, as they stand in own.
 */
const unserved = new Set(["then", "toJSON"]);

/** withActions is own, and for every name that own does not have, a method that calls the action of this name. */
export function withActions<T extends object>(own: T, invoke: Invoke): T {
  return withMembers(own, (name) => action(name, invoke));
}

/** withMembers is own, and what make makes of every other name, once. */
export function withMembers<T extends object>(own: T, make: (name: string) => unknown): T {
  const made = new Map<string, unknown>();
  return new Proxy(own, {
    get(target, name) {
      if (typeof name === "symbol" || name in target) return Reflect.get(target, name, target) as unknown;
      if (unserved.has(name)) return undefined;
      if (!made.has(name)) made.set(name, make(name));
      return made.get(name);
    },
    set: () => false,
  });
}

/** action is a method, and at the same time the group of the actions whose names go on behind a dot. */
function action(name: string, invoke: Invoke): unknown {
  const nested = new Map<string, unknown>();
  return new Proxy((...args: unknown[]) => invoke(name, args), {
    get(target, next) {
      if (typeof next === "symbol") return Reflect.get(target, next) as unknown;
      if (unserved.has(next)) return undefined;
      if (!nested.has(next)) nested.set(next, action(`${name}.${next}`, invoke));
      return nested.get(next);
    },
    set: () => false,
  });
}
