// Maps, sets and dates in the state: each has a prototype of its own put under it that notices writes. It stays a real Map, Set or
// Date, so that `new Date(d)`, `structuredClone(m)` and all else that looks inside takes it.
import { NotStorableError } from "@stagedoor/client/values";
import { refuse, take } from "./intake.ts";
import { isObject } from "./kinds.ts";
import type { Root } from "./root.ts";
import { isBare, know, nodeOf, raw } from "./views.ts";
import type { Node } from "./views.ts";

type AnyMap = Map<unknown, unknown>;
type AnySet = Set<unknown>;
type AnyFunction = (...args: unknown[]) => unknown;

/** adopt makes a Map, Set or Date track writes for a root. */
export function adopt(value: object, root: Root, depth: number): object {
  if (nodeOf(value) !== undefined) return value;
  Object.setPrototypeOf(value, value instanceof Map ? mapPrototype : value instanceof Set ? setPrototype : datePrototype);
  know(value, { root, target: value, depth });
  return value;
}

export function isMap(value: object): value is AnyMap {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Map.prototype || prototype === mapPrototype;
}

export function isSet(value: object): value is AnySet {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Set.prototype || prototype === setPrototype;
}

export function isDate(value: object): value is Date {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Date.prototype || prototype === datePrototype;
}

const mapSize = (map: AnyMap) => Reflect.get(Map.prototype, "size", map);
const setSize = (set: AnySet) => Reflect.get(Set.prototype, "size", set);

/** nodeIn is the node of a view that a method was called on. */
function nodeIn(view: object): Node {
  const node = nodeOf(view);
  if (node === undefined) throw new TypeError("a method of the state's values was called on something else");
  return node;
}

function shown(node: Node, value: unknown): unknown {
  return node.root.show(value, node.depth + 1);
}

function writeMap(map: AnyMap, key: unknown, value: unknown): void {
  const node = nodeIn(map);
  if (isObject(key) || typeof key === "function" || typeof key === "symbol") {
    throw refuse(node, "…", "a key of a Map is text, a number, a bigint, a boolean, null or undefined");
  }
  take(node.root, node, key, key);
  const stored = take(node.root, node, key, value);
  if (!isObject(value) && Object.is(Map.prototype.get.call(map, key), stored) && Map.prototype.has.call(map, key)) return;
  node.root.touch();
  Map.prototype.set.call(map, key, stored);
}

const mapMethods: Record<string | symbol, AnyFunction> & ThisType<AnyMap> = {
  get(key) {
    return shown(nodeIn(this), Map.prototype.get.call(this, key));
  },
  set(key, value) {
    writeMap(this, key, value);
    return this;
  },
  delete(key) {
    if (!Map.prototype.has.call(this, key)) return false;
    nodeIn(this).root.touch();
    return Map.prototype.delete.call(this, key);
  },
  clear() {
    if (mapSize(this) === 0) return;
    nodeIn(this).root.touch();
    Map.prototype.clear.call(this);
  },
  forEach(callback, self) {
    for (const [key, value] of this.entries()) (callback as AnyFunction).call(self, value, key, this);
  },
  entries() {
    const entries = Map.prototype.entries.call(this);
    return isBare() ? entries : shownEntries(nodeIn(this), entries);
  },
  values() {
    const values = Map.prototype.values.call(this);
    return isBare() ? values : shownValues(nodeIn(this), values);
  },
  [Symbol.iterator]() {
    return this.entries();
  },
};

const setMethods: Record<string | symbol, AnyFunction> & ThisType<AnySet> = {
  has(value) {
    return Set.prototype.has.call(this, raw(value));
  },
  add(value) {
    if (Set.prototype.has.call(this, raw(value))) return this;
    const node = nodeIn(this);
    const stored = take(node.root, node, setSize(this), value);
    node.root.touch();
    Set.prototype.add.call(this, stored);
    return this;
  },
  delete(value) {
    if (!Set.prototype.has.call(this, raw(value))) return false;
    nodeIn(this).root.touch();
    return Set.prototype.delete.call(this, raw(value));
  },
  clear() {
    if (setSize(this) === 0) return;
    nodeIn(this).root.touch();
    Set.prototype.clear.call(this);
  },
  forEach(callback, self) {
    for (const value of this.values()) (callback as AnyFunction).call(self, value, value, this);
  },
  entries() {
    const entries = Set.prototype.entries.call(this);
    return isBare() ? entries : shownEntries(nodeIn(this), entries);
  },
  values() {
    const values = Set.prototype.values.call(this);
    return isBare() ? values : shownValues(nodeIn(this), values);
  },
  keys() {
    return this.values();
  },
  [Symbol.iterator]() {
    return this.values();
  },
};

function* shownEntries(node: Node, entries: Iterable<[unknown, unknown]>): IterableIterator<[unknown, unknown]> {
  for (const [key, value] of entries) yield [shown(node, key), shown(node, value)];
}

function* shownValues(node: Node, values: Iterable<unknown>): IterableIterator<unknown> {
  for (const value of values) yield shown(node, value);
}

/** dateSetter is a setter that refuses what would make the date invalid. */
function dateSetter(setter: AnyFunction): AnyFunction {
  return function (this: Date, ...args) {
    const node = nodeIn(this);
    const probe = new Date(this);
    setter.apply(probe, args);
    if (Number.isNaN(probe.getTime())) throw new NotStorableError(node.root.pathTo(this), "it would be an invalid date");
    node.root.touch();
    return setter.apply(this, args);
  };
}

/** writer is a method that may write, of a version of JavaScript that this file does not know. */
function writer(method: AnyFunction): AnyFunction {
  return function (this: object, ...args) {
    nodeIn(this).root.touch();
    return method.apply(this, args);
  };
}

/** Methods of the base that only read, and need no view. */
const readers = new Set(["constructor", "has", "keys", "size"]);
const setAlgebra = /^(union|intersection|difference|symmetricDifference|is(Sub|Super)setOf|isDisjointFrom)$/;

function prototypeOf(base: object, methods: Record<string | symbol, AnyFunction>): object {
  const prototype = Object.create(base) as object;
  const put = (key: string | symbol, value: unknown) =>
    Object.defineProperty(prototype, key, { value, writable: true, configurable: true });
  for (const name of Object.getOwnPropertyNames(base)) {
    const value: unknown = Object.getOwnPropertyDescriptor(base, name)?.value;
    if (typeof value === "function" && !readers.has(name) && !setAlgebra.test(name)) put(name, writer(value as AnyFunction));
  }
  for (const key of Reflect.ownKeys(methods)) put(key, methods[key]);
  return prototype;
}

function datePrototypeOf(): object {
  const prototype = Object.create(Date.prototype) as object;
  for (const name of Object.getOwnPropertyNames(Date.prototype)) {
    if (!name.startsWith("set")) continue;
    const setter = (Date.prototype as unknown as Record<string, AnyFunction>)[name] as AnyFunction;
    Object.defineProperty(prototype, name, { value: dateSetter(setter), writable: true, configurable: true });
  }
  return prototype;
}

const mapPrototype = prototypeOf(Map.prototype, mapMethods);
const setPrototype = prototypeOf(Set.prototype, setMethods);
const datePrototype = datePrototypeOf();
