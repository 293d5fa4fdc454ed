// `next dev` loads a route again in the same process when code behind it has changed. Without more, the runner that has the old
// code would stay, and with it the actors.

/** What a registry must be able to do to take another one's place. */
export interface Replaceable {
  readonly config: { readonly use: object };
  startAndWait(this: void): Promise<void>;
  shutdown(this: void): Promise<void>;
}

interface Places {
  /** Those whose runners are wanted. */
  readonly current: Set<Replaceable>;
  /** All that ever were: one that was replaced gets late requests, and does not come back. */
  readonly seen: WeakSet<Replaceable>;
}

// This module may be loaded again, too.
const key = Symbol.for("stagedoor.mounted");

function places(): Places {
  const shared = globalThis as { [key]?: Places };
  return (shared[key] ??= { current: new Set(), seen: new WeakSet() });
}

/**
 * Has a registry take the place of those before it that host an actor type of the same name. They are shut down when it runs,
 * so their actors are handed over to it.
 */
export function takePlace(registry: Replaceable): void {
  const { current, seen } = places();
  if (seen.has(registry)) return;
  seen.add(registry);
  const before = [...current].filter((other) => sharesType(other, registry));
  for (const other of before) current.delete(other);
  current.add(registry);
  if (before.length === 0) return;
  registry
    .startAndWait()
    .then(() => Promise.all(before.map((other) => other.shutdown())))
    .catch(() => {}); // the handler, which starts it too, says why it does not start
}

function sharesType(one: Replaceable, other: Replaceable): boolean {
  return Object.keys(one.config.use).some((name) => Object.hasOwn(other.config.use, name));
}
