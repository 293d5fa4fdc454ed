import { Sink, compareBytes, isWellFormed } from "./bytes.ts";
import { Trail, bytesOf, describe, isPlain, tag, typedArrayTag } from "./forms.ts";

/** EncodeOptions of encode and encodeState. */
export interface EncodeOptions {
  /** What a NotStorableError calls the whole value. Default "value". */
  readonly root?: string | undefined;
}

/**
 * encode is one value as CBOR. Objects and maps keep their order. What cannot be carried is a NotStorableError.
 *
 * Carried are null, undefined (also as a property), booleans, strings, numbers (with −0, NaN and the infinities), bigints,
 * Date, Map, Set, arrays, plain objects, Uint8Array, ArrayBuffer (comes back as a Uint8Array) and the other typed arrays
 * (JavaScript alone reads these: no other form has them). Symbols as keys, and what is not enumerable, are passed over.
 */
export function encode(value: unknown, options?: EncodeOptions): Uint8Array {
  return run(value, options, false);
}

/** encodeState is encode in the core deterministic form: equal state has equal bytes, the keys of objects and maps are sorted [PAY-2]. */
export function encodeState(value: unknown, options?: EncodeOptions): Uint8Array {
  return run(value, options, true);
}

/** The buffer is kept for reuse; a getter that encodes inside of an encode finds none, and gets another. */
let spare: Sink | undefined = new Sink();

function run(value: unknown, options: EncodeOptions | undefined, sorted: boolean): Uint8Array {
  const sink = spare ?? new Sink();
  spare = undefined;
  try {
    new Encoder(sink, new Trail(options?.root ?? "value"), sorted).value(value, 0);
    return sink.take();
  } finally {
    sink.drop();
    spare = sink;
  }
}

const major = { uint: 0x00, nint: 0x20, bytes: 0x40, text: 0x60, array: 0x80, map: 0xa0, tag: 0xc0 } as const;
const simple = { false: 0xf4, true: 0xf5, null: 0xf6, undefined: 0xf7, half: 0xf9, single: 0xfa, double: 0xfb } as const;

class Encoder {
  private readonly sink: Sink;
  private readonly trail: Trail;
  private readonly sorted: boolean;

  constructor(sink: Sink, trail: Trail, sorted: boolean) {
    this.sink = sink;
    this.trail = trail;
    this.sorted = sorted;
  }

  /** value writes a value that stands in so many containers. */
  value(value: unknown, depth: number): void {
    switch (typeof value) {
      case "string":
        return this.text(value, depth);
      case "number":
        return this.number(value);
      case "boolean":
        return this.sink.byte(value ? simple.true : simple.false);
      case "undefined":
        return this.sink.byte(simple.undefined);
      case "bigint":
        return this.bigint(value);
      case "object":
        return value === null ? this.sink.byte(simple.null) : this.object(value, depth);
      default:
        throw this.trail.error(depth, describe(value));
    }
  }

  private head(kind: number, argument: number): void {
    const { sink } = this;
    if (argument < 24) {
      sink.byte(kind | argument);
    } else if (argument < 0x100) {
      sink.byte(kind | 24);
      sink.byte(argument);
    } else if (argument < 0x10000) {
      sink.byte(kind | 25);
      sink.uint16(argument);
    } else if (argument < 0x100000000) {
      sink.byte(kind | 26);
      sink.uint32(argument);
    } else {
      sink.byte(kind | 27);
      sink.uint64(BigInt(argument));
    }
  }

  private number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) this.float(value);
    else if (value >= 0) this.head(major.uint, value);
    else this.head(major.nint, -1 - value);
  }

  /** float writes the shortest form that holds the value. */
  private float(value: number): void {
    const { sink } = this;
    if (Number.isNaN(value)) {
      sink.byte(simple.half);
      sink.uint16(0x7e00);
    } else if (Math.fround(value) !== value) {
      sink.byte(simple.double);
      sink.float64(value);
    } else {
      const half = asHalf(value);
      sink.byte(half === undefined ? simple.single : simple.half);
      if (half === undefined) sink.float32(value);
      else sink.uint16(half);
    }
  }

  /** bigint is a bignum, unless it is an integer of 64 bits that no number holds: that is one in every language. */
  private bigint(value: bigint): void {
    const negative = value < 0n;
    const argument = negative ? -1n - value : value;
    const safe = BigInt(Number.MAX_SAFE_INTEGER) - (negative ? 1n : 0n);
    if (argument > safe && argument < 1n << 64n) {
      this.sink.byte((negative ? major.nint : major.uint) | 27);
      this.sink.uint64(argument);
      return;
    }
    const hex = argument === 0n ? "" : argument.toString(16);
    const digits = hex.length % 2 === 0 ? hex : `0${hex}`;
    this.head(major.tag, negative ? tag.bigNegative : tag.bigPositive);
    this.head(major.bytes, digits.length / 2);
    for (let i = 0; i < digits.length; i += 2) this.sink.byte(Number.parseInt(digits.slice(i, i + 2), 16));
  }

  private text(text: string, depth: number): void {
    const { sink } = this;
    const start = sink.length;
    if (text.length < 64) {
      this.head(major.text, text.length);
      if (sink.ascii(text)) return;
      sink.length = start;
    }
    if (!isWellFormed(text)) throw this.trail.error(depth, "its text has a lone surrogate, which UTF-8 cannot hold");
    if (text.length < 8) { // at most 23 bytes: the head is one byte, whatever they are
      sink.byte(major.text);
      (sink.bytes[start] as number) |= sink.utf8(text);
      return;
    }
    const bytes = utf8.encode(text);
    this.head(major.text, bytes.length);
    sink.raw(bytes);
  }

  private object(value: object, depth: number): void {
    if (Array.isArray(value)) return this.array(value, depth + 1);
    if (isPlain(value)) return this.plain(value, depth + 1);
    if (value instanceof Date) return this.date(value, depth);
    if (value instanceof Map) return this.map(value, depth + 1);
    if (value instanceof Set) {
      this.head(major.tag, tag.set);
      return this.set(value, depth + 1);
    }
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return this.memory(value, depth);
    throw this.trail.error(depth, describe(value));
  }

  private array(value: readonly unknown[], depth: number): void {
    this.trail.enter(depth, value);
    this.head(major.array, value.length);
    for (let i = 0; i < value.length; i++) {
      this.trail.step(depth, i);
      this.value(value[i], depth);
    }
  }

  private set(value: ReadonlySet<unknown>, depth: number): void {
    this.trail.enter(depth, value);
    this.head(major.array, value.size);
    let i = 0;
    for (const element of value) {
      this.trail.step(depth, i++);
      this.value(element, depth);
    }
  }

  private plain(value: Record<string, unknown>, depth: number): void {
    this.trail.enter(depth, value);
    const keys = Object.keys(value);
    this.head(major.map, keys.length);
    for (const key of this.sorted ? sortKeys(keys) : keys) {
      this.trail.step(depth, key);
      this.text(key, depth);
      this.value(value[key], depth);
    }
  }

  private map(value: ReadonlyMap<unknown, unknown>, depth: number): void {
    this.trail.enter(depth, value);
    let onlyText = true;
    for (const key of value.keys()) onlyText &&= typeof key === "string";
    if (onlyText) this.head(major.tag, tag.map);
    this.head(major.map, value.size);
    const entries = this.sorted ? this.sortEntries(value, depth) : value;
    for (const [key, element] of entries) {
      this.trail.step(depth, key);
      this.value(key, depth);
      this.value(element, depth);
    }
  }

  private sortEntries(value: ReadonlyMap<unknown, unknown>, depth: number): (readonly [unknown, unknown])[] {
    const { sink } = this;
    const list = [...value].map((entry) => {
      this.trail.step(depth, entry[0]);
      const start = sink.length;
      this.value(entry[0], depth);
      const bytes = sink.bytes.slice(start, sink.length);
      sink.length = start;
      return { entry, bytes };
    });
    return list.sort((a, b) => compareBytes(a.bytes, b.bytes)).map(({ entry }) => entry);
  }

  private date(value: Date, depth: number): void {
    const ms = value.getTime();
    if (Number.isNaN(ms)) throw this.trail.error(depth, "it is an invalid date");
    this.head(major.tag, tag.dateEpoch);
    this.number(ms / 1000);
  }

  private memory(value: ArrayBuffer | ArrayBufferView, depth: number): void {
    if (!(value instanceof ArrayBuffer) && !(value instanceof Uint8Array)) {
      const number = typedArrayTag(value);
      if (number === undefined) throw this.trail.error(depth, describe(value));
      this.head(major.tag, number);
    }
    const bytes = bytesOf(value);
    this.head(major.bytes, bytes.length);
    this.sink.raw(bytes);
  }
}

const utf8 = new TextEncoder();
const scratch = new DataView(new ArrayBuffer(4));

/** asHalf is the 16 bits of a float that holds the value, which is one of 32 bits; undefined: none does. */
function asHalf(value: number): number | undefined {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 127;
  const mantissa = bits & 0x7fffff;
  if (exponent === 128) return mantissa === 0 ? sign | 0x7c00 : undefined;
  if (bits << 1 === 0) return sign;
  if (exponent >= -14 && exponent <= 15) return (mantissa & 0x1fff) === 0 ? sign | ((exponent + 15) << 10) | (mantissa >>> 13) : undefined;
  if (exponent < -24 || exponent > 15) return undefined;
  const whole = mantissa | 0x800000; // a subnormal of 16 bits
  const shift = -exponent - 1;
  return (whole & ((1 << shift) - 1)) === 0 ? sign | (whole >>> shift) : undefined;
}

/** sortKeys orders texts as their encodings: shorter ones first, then by bytes. */
function sortKeys(keys: string[]): string[] {
  if (!keys.some((key) => /[\u0080-\uffff]/.test(key))) return keys.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  const list = keys.map((key) => ({ key, bytes: utf8.encode(key) }));
  return list.sort((a, b) => a.bytes.length - b.bytes.length || compareBytes(a.bytes, b.bytes)).map(({ key }) => key);
}
