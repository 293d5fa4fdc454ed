// What kinds of values state is made of [PAY-1], and what an error calls those that it is not.

/** maxDepth is how deep arrays, objects, maps and sets may be nested [PAY-4]. */
export const maxDepth = 64;

/** maxElements bounds an array: a longer one would never fit a commit, and encoding it would take all the memory. */
export const maxElements = 1 << 24;

export type TypedArray =
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

export type Plain = Record<string, unknown>;

/** isObject tells what has parts, or an inside, from what has none. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** isPlain tells an object of `{…}`, of whatever realm, from an instance of a class. */
export function isPlain(value: object): value is Plain {
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || prototype === Object.prototype) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "hasOwnProperty");
}

/** isTypedArray tells an array of numbers in memory; a DataView is none. */
export function isTypedArray(value: object): value is TypedArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** isWellFormed tells whether UTF-8 can hold a text: it has no lone surrogates. */
export function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** describe is what an error says of a value that cannot be stored. */
export function describe(value: unknown): string {
  if (typeof value === "function") return "it is a function";
  if (typeof value === "symbol") return "it is a symbol";
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return `it is an instance of ${typeof name === "string" && name !== "" ? name : "a class"}`;
}

/** stepText is one step of a path: from the container to what stands at the key. */
export function stepText(container: unknown, key: unknown): string {
  if (container instanceof Map) return `.get(${typeof key === "string" ? JSON.stringify(key) : String(key)})`;
  if (typeof key === "number" || Array.isArray(container)) return `[${String(key)}]`;
  const name = String(key);
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}
