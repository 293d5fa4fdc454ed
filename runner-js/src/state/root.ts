import { encodeState } from "@stagedoor/client/values";
import { take } from "./intake.ts";
import { isObject, stepText } from "./kinds.ts";
import { track } from "./track.ts";
import { barely, isBare } from "./views.ts";

/** Root is one tracked value: the state of an actor or of a connection. */
export class Root {
  /** What errors call it. */
  readonly name: string;
  /** The views by their values: the same value has the same view. */
  readonly views = new WeakMap<object, object>();
  /** Something was written since this was last set to false. */
  dirty = false;
  /** The same, for another who looks. */
  unseen = false;
  /** Set: every write is refused, for this reason. */
  locked: string | undefined;
  readonly #wrote: () => void;
  #value: unknown;
  #view: unknown;

  /** wrote is called before the first write that makes it dirty or unseen. */
  constructor(name: string, wrote: () => void) {
    this.name = name;
    this.#wrote = wrote;
  }

  /** What the user sees: views, through which every write is noticed. */
  get view(): unknown {
    return this.#view;
  }

  /** replace takes another value; what cannot be stored is a NotStorableError, and nothing changes. */
  replace(value: unknown): void {
    const taken = take(this, undefined, undefined, value);
    this.touch();
    this.reset(taken);
  }

  /** reset sets the value, which nobody else holds, without noticing it as a write. */
  reset(value: unknown): void {
    this.#value = value;
    this.#view = isObject(value) ? track(value, this, 0) : value;
  }

  /** show is the view of a part that stands in so many containers. */
  show(value: unknown, depth: number): unknown {
    return !isObject(value) || isBare() ? value : track(value, this, depth);
  }

  /** touch comes before every write. */
  touch(): void {
    if (this.locked !== undefined) throw new Error(this.locked);
    if (this.dirty && this.unseen) return;
    this.dirty = true;
    this.unseen = true;
    this.#wrote();
  }

  /** The value itself. It is not to be written. */
  get value(): unknown {
    return this.#value;
  }

  /** encode is the value as CBOR, equal for equal values [PAY-2]. */
  encode(): Uint8Array {
    return barely(() => encodeState(this.#value, { root: this.name }), undefined);
  }

  /** pathTo is the way to one of the value's containers. It is looked for, since only errors need it. */
  pathTo(container: object | undefined): string {
    return container === undefined ? this.name : (barely((value) => find(value, container, this.name, new Set()), this.#value) ?? this.name);
  }
}

function find(value: unknown, wanted: object, path: string, seen: Set<object>): string | undefined {
  if (!isObject(value) || seen.has(value)) return undefined;
  if (value === wanted) return path;
  seen.add(value);
  for (const [key, part] of partsOf(value)) {
    const found = find(part, wanted, path + stepText(value, key), seen);
    if (found !== undefined) return found;
  }
  return undefined;
}

function partsOf(value: object): Iterable<[unknown, unknown]> {
  if (value instanceof Map || Array.isArray(value)) return value.entries();
  if (value instanceof Set) return [...value].entries();
  return ArrayBuffer.isView(value) ? [] : Object.entries(value);
}
