/** Refuses keys that are not known, with the nearest that is. `what` names the place: "actor()". */
export function refuseUnknownKeys(
  what: string,
  given: object,
  known: readonly string[],
  later: Readonly<Record<string, string>> = {},
): void {
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const promise = Object.hasOwn(later, key) ? later[key] : undefined;
    if (promise !== undefined) throw new TypeError(`${what}: ${key} is not there yet: ${promise}`);
    const near = nearest(key, known);
    throw new TypeError(`${what}: unknown option ${JSON.stringify(key)}${near === undefined ? "" : `, did you mean ${near}?`}`);
  }
}

/** The known name that a wrong one most likely stands for; undefined: none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const d = distance(name.toLowerCase(), candidate.toLowerCase());
    if (d < least) [best, least] = [candidate, d];
  }
  return best;
}

/** How many characters must be inserted, removed or replaced to make one of the other. */
function distance(a: string, b: string): number {
  if (a.length > 64) return a.length;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** An object of `{}` or of no prototype, also of another realm. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** What an error message calls a value. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : typeof value;
}
