import { NotStorableError } from "./errors.ts";

/** maxDepth is how deep arrays, objects, maps and sets may be nested [PAY-4]. */
export const maxDepth = 64;

/** The tags of CBOR that stand for values of JavaScript. */
export const tag = {
  dateText: 0,
  dateEpoch: 1,
  bigPositive: 2,
  bigNegative: 3,
  set: 258,
  /** A Map all of whose keys are text: without the tag it would come back as an object. */
  map: 259,
} as const;

/** TypedArray is an array of numbers in memory, of another kind than bytes. */
export type TypedArray =
  | Int8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

type TypedArrayConstructor = new (buffer: ArrayBuffer) => TypedArray;

/** The tags of typed arrays, little endian (RFC 8746 §2.1); bytes need none. */
const typedArrays = new Map<number, TypedArrayConstructor>([
  [68, Uint8ClampedArray],
  [69, Uint16Array],
  [70, Uint32Array],
  [71, BigUint64Array],
  [72, Int8Array],
  [77, Int16Array],
  [78, Int32Array],
  [79, BigInt64Array],
  [85, Float32Array],
  [86, Float64Array],
]);

/** typedArrayTag is the tag of a typed array, or undefined. */
export function typedArrayTag(value: ArrayBufferView): number | undefined {
  for (const [number, constructor] of typedArrays) {
    if (value instanceof constructor) return number;
  }
  return undefined;
}

/** typedArrayOf is the typed array of a tag and its bytes; undefined: there is no such tag, or its bytes do not fit it. */
export function typedArrayOf(number: number, bytes: Uint8Array): TypedArray | undefined {
  const constructor = typedArrays.get(number);
  if (constructor === undefined) return undefined;
  const size = (constructor as unknown as { readonly BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT;
  return bytes.length % size === 0 ? new constructor(bytes.slice().buffer) : undefined;
}

/** bytesOf is the memory of a buffer or a view, as bytes, not copied. */
export function bytesOf(value: ArrayBuffer | ArrayBufferView): Uint8Array {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/** isPlain tells an object of `{…}`, of whatever realm, from an instance of a class. */
export function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || isRootPrototype(prototype as object);
}

function isRootPrototype(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "hasOwnProperty");
}

/** describe is what an error calls a value that cannot be carried. */
export function describe(value: unknown): string {
  if (typeof value === "function") return "it is a function";
  if (typeof value === "symbol") return "it is a symbol";
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return `it is an instance of ${typeof name === "string" && name !== "" ? name : "a class"}`;
}

/**
 * Trail is where in a value a walk is: the containers and the way into them. Setting it costs two assignments per element,
 * and only an error makes text of it.
 */
export class Trail {
  private readonly root: string;
  private readonly containers: unknown[] = [];
  private readonly steps: unknown[] = [];

  constructor(root: string) {
    this.root = root;
  }

  /** enter goes into a container at the depth, which counts from 1. */
  enter(depth: number, container: unknown): void {
    this.containers[depth] = container;
    if (depth <= maxDepth) return;
    const again = this.containers.findIndex((one, d) => d > 0 && this.containers.indexOf(one) < d);
    if (again > 0) throw this.error(again - 1, "it contains itself");
    throw this.error(depth - 1, `it is nested deeper than ${maxDepth}`);
  }

  /** step names the element of the container at the depth that the walk goes to. */
  step(depth: number, key: unknown): void {
    this.steps[depth] = key;
  }

  /** error is about the element inside the container at the depth; 0: about the whole value. */
  error(depth: number, what: string): NotStorableError {
    let path = this.root;
    for (let d = 1; d <= depth; d++) path += this.stepText(d);
    return new NotStorableError(path, what);
  }

  private stepText(depth: number): string {
    const container = this.containers[depth];
    const key = this.steps[depth];
    if (container instanceof Map) return `.get(${typeof key === "string" ? JSON.stringify(key) : describeKey(key)})`;
    if (typeof key !== "string") return `[${String(key)}]`;
    return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  }
}

function describeKey(key: unknown): string {
  return typeof key === "number" || typeof key === "bigint" || typeof key === "boolean" ? String(key) : "…";
}
