// What comes into the state: it is checked whole before anything changes, so that a write of what cannot be stored is refused
// where it happens. What comes in is not copied, but views in it are replaced by what they show.
import { NotStorableError } from "@stagedoor/client/values";
import { describe, isObject, isPlain, isTypedArray, isWellFormed, maxDepth, maxElements, stepText } from "./kinds.ts";
import type { Plain } from "./kinds.ts";
import type { Root } from "./root.ts";
import { adopt, isMap, isSet, isDate } from "./natives.ts";
import { barely, nodeOf } from "./views.ts";
import type { Node } from "./views.ts";

/** take is the value as it is to be stored in the container of a node at a key; without node: as the whole value. */
export function take(root: Root, into: Node | undefined, key: unknown, value: unknown): unknown {
  if (typeof value === "number" || (typeof value === "string" && isWellFormed(value))) return value; // in most cases
  return barely((all) => new Intake(root, into, key).part(all, (into?.depth ?? -1) + 1), value);
}

/** refuse is the error about a write into a node. */
export function refuse(node: Node, key: unknown, what: string): NotStorableError {
  return new NotStorableError(node.root.pathTo(node.target) + stepText(node.target, key), what);
}

class Intake {
  readonly #root: Root;
  readonly #into: Node | undefined;
  readonly #key: unknown;
  /** The containers in which the walk is, each with the key that it has gone to. */
  readonly #trail: [object, unknown][] = [];
  /** What was gone through already, how it is stored, and in how many containers it stood. */
  readonly #done = new Map<object, { readonly stored: object; readonly depth: number }>();

  constructor(root: Root, into: Node | undefined, key: unknown) {
    this.#root = root;
    this.#into = into;
    this.#key = key;
  }

  /** part is a part of what comes in, as it is to be stored. It stands in so many containers. */
  part(value: unknown, depth: number): unknown {
    if (isObject(value)) return this.#object(value, depth);
    if (typeof value === "string" && !isWellFormed(value)) throw this.#error("its text has a lone surrogate, which UTF-8 cannot hold");
    if (typeof value === "function" || typeof value === "symbol") throw this.#error(describe(value));
    return value;
  }

  #object(value: object, depth: number): object {
    const node = nodeOf(value);
    const target = node?.target ?? value;
    if (node !== undefined && node.root !== this.#root) return structuredClone(target); // it belongs to another state
    if (target === this.#into?.target || this.#trail.some(([container]) => container === target)) throw this.#error("it contains itself");
    const done = this.#done.get(target);
    if (done !== undefined && done.depth >= depth) return done.stored;
    const stored = this.#kind(done?.stored ?? target, depth + 1);
    this.#done.set(target, { stored, depth });
    return stored;
  }

  #kind(value: object, depth: number): object {
    if (Array.isArray(value) && Object.getPrototypeOf(value) === Array.prototype) return this.#array(value as unknown[], depth);
    if (isPlain(value)) return this.#plain(value, depth);
    if (isMap(value)) return this.#map(value, depth);
    if (isSet(value)) return this.#set(value, depth);
    if (isDate(value)) {
      if (Number.isNaN(value.getTime())) throw this.#error("it is an invalid date");
      return adopt(Object.isExtensible(value) ? value : new Date(value), this.#root, depth - 1);
    }
    if (isTypedArray(value) || value instanceof ArrayBuffer) return value;
    throw this.#error(describe(value));
  }

  #array(from: unknown[], depth: number): unknown[] {
    this.#enter(depth);
    if (from.length > maxElements) throw this.#error(`it has more than ${maxElements} elements`);
    const to = Object.isExtensible(from) ? from : [...from];
    this.#each(from, from.entries(), depth, (i, part) => {
      to[i] = part;
    });
    return to;
  }

  #plain(from: Plain, depth: number): Plain {
    this.#enter(depth);
    if (Object.getOwnPropertySymbols(from).length > 0) throw this.#error("it has a property whose key is a symbol");
    const to = Object.isExtensible(from) ? from : { ...from };
    this.#each(from, Object.entries(from), depth, (key, part) => {
      Object.defineProperty(to, key, { value: part, writable: true, enumerable: true, configurable: true });
    });
    return to;
  }

  #map(from: Map<unknown, unknown>, depth: number): object {
    this.#enter(depth);
    const to = Object.isExtensible(from) ? from : new Map(from);
    this.#each(from, from.entries(), depth, (key, part) => Map.prototype.set.call(to, key, part));
    return adopt(to, this.#root, depth - 1);
  }

  #set(from: Set<unknown>, depth: number): object {
    this.#enter(depth);
    const elements = [...from];
    let replaced = !Object.isExtensible(from);
    this.#each(from, elements.entries(), depth, (i, part) => {
      elements[i] = part;
      replaced = true;
    });
    return adopt(replaced ? new Set(elements) : from, this.#root, depth - 1);
  }

  #enter(depth: number): void {
    if (depth > maxDepth) throw this.#error(`it is nested deeper than ${maxDepth}`);
  }

  /** each goes through the parts of a container and has those replaced that are stored as something else. */
  #each<K>(container: object, parts: Iterable<[K, unknown]>, depth: number, replace: (key: K, part: unknown) => void): void {
    const step: [object, unknown] = [container, undefined];
    this.#trail.push(step);
    for (const [key, part] of parts) {
      step[1] = key;
      if (isObject(key)) throw this.#error("it has a key that is an object");
      if (typeof key !== "number") this.part(key, depth);
      const stored = this.part(part, depth);
      if (stored !== part) replace(key, stored);
    }
    this.#trail.pop();
  }

  #error(what: string): NotStorableError {
    let path = this.#root.pathTo(this.#into?.target);
    if (this.#into !== undefined) path += stepText(this.#into.target, this.#key);
    for (const [container, key] of this.#trail) path += stepText(container, key);
    return new NotStorableError(path, what);
  }
}
