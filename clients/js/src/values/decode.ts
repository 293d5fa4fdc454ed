import { InvalidPayloadError } from "./errors.ts";
import { maxDepth, tag, typedArrayOf } from "./forms.ts";

/**
 * decode is the value of one CBOR item. Integers beyond ±(2^53 − 1) and bignums are bigints, byte strings Uint8Arrays (copies),
 * maps are objects unless a key is not text. Anything but one well-formed item of a known form is an InvalidPayloadError: also
 * duplicate keys, other tags, more than 64 levels and trailing bytes [PAY-4].
 */
export function decode(bytes: Uint8Array): unknown {
  const decoder = new Decoder(bytes);
  const value = decoder.value(0);
  decoder.end();
  return value;
}

const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const indefinite = -1;
const breakByte = 0xff;

class Decoder {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;
  /** The argument of the last head if it is more than a number holds exactly. */
  private wide = 0n;

  constructor(bytes: Uint8Array) {
    // A Buffer of Node slices without copying.
    this.bytes = bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  end(): void {
    if (this.at !== this.bytes.length) throw this.fault(`${this.bytes.length - this.at} bytes follow the value`);
  }

  /** value reads an item that stands in so many containers. */
  value(depth: number): unknown {
    const first = this.first();
    const info = first & 31;
    switch (first >> 5) {
      case 0:
        return this.integer(info, false);
      case 1:
        return this.integer(info, true);
      case 2:
        return this.string(2, info, (from, to) => this.bytes.slice(from, to), concat);
      case 3:
        return this.text(info);
      case 4:
        return this.array(this.length(info, 1), depth + 1);
      case 5:
        return this.map(this.length(info, 2), depth + 1);
      case 6:
        return this.tagged(this.argument(info), depth);
      default:
        return this.other(info);
    }
  }

  private fault(what: string): InvalidPayloadError {
    return new InvalidPayloadError(`invalid CBOR at byte ${this.at}: ${what}`);
  }

  private first(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw this.fault("the value is cut short");
    this.at++;
    return byte;
  }

  /** argument is what a head says, or indefinite. Beyond 2^53 - 1 it is inexact, and exact in wide. */
  private argument(info: number): number {
    if (info < 24) return info;
    if (info === 31) return indefinite;
    if (info > 27) throw this.fault(`reserved additional information ${info}`);
    const size = 1 << (info - 24);
    const at = this.at;
    if (at + size > this.bytes.length) throw this.fault("the value is cut short");
    this.at += size;
    if (size === 1) return this.view.getUint8(at);
    if (size === 2) return this.view.getUint16(at);
    if (size === 4) return this.view.getUint32(at);
    this.wide = this.view.getBigUint64(at);
    return Number(this.wide);
  }

  private integer(info: number, negative: boolean): number | bigint {
    const argument = this.argument(info);
    if (argument === indefinite) throw this.fault("an integer of indefinite length");
    if (argument < Number.MAX_SAFE_INTEGER) return negative ? -1 - argument : argument;
    if (!negative && argument === Number.MAX_SAFE_INTEGER) return argument;
    return negative ? -1n - this.wide : this.wide;
  }

  /** length is how many bytes or items follow; more than can be there are refused before any work is done. */
  private length(info: number, each: number): number {
    const length = this.argument(info);
    if (length * each > this.bytes.length - this.at) throw this.fault("the value is cut short");
    return length;
  }

  private text(info: number): string {
    const length = info === 31 ? indefinite : this.length(info, 1);
    if (length >= 0 && length < 32) {
      const short = this.ascii(length);
      if (short !== undefined) return short;
    }
    if (length >= 0) return this.utf8(this.at, (this.at += length));
    return this.string(3, info, (from, to) => this.utf8(from, to), (chunks) => chunks.join(""));
  }

  private ascii(length: number): string | undefined {
    const { bytes, at } = this;
    let result = "";
    for (let i = at; i < at + length; i++) {
      const byte = bytes[i] as number;
      if (byte > 0x7f) return undefined;
      result += String.fromCharCode(byte);
    }
    this.at = at + length;
    return result;
  }

  private utf8(from: number, to: number): string {
    try {
      return text.decode(this.bytes.subarray(from, to));
    } catch {
      throw this.fault("text that is not valid UTF-8");
    }
  }

  /** string reads a string of known length, or in chunks of its own kind. */
  private string<T>(major: number, info: number, read: (from: number, to: number) => T, join: (chunks: T[]) => T): T {
    const length = this.length(info, 1);
    if (length !== indefinite) return read(this.at, (this.at += length));
    const chunks: T[] = [];
    while (!this.atBreak()) {
      const head = this.first();
      if (head >> 5 !== major || (head & 31) === 31) throw this.fault("a chunk of another kind inside a string");
      const size = this.length(head & 31, 1);
      chunks.push(read(this.at, (this.at += size)));
    }
    return join(chunks);
  }

  private atBreak(): boolean {
    if (this.bytes[this.at] !== breakByte) return false;
    this.at++;
    return true;
  }

  private more(length: number, done: number): boolean {
    return length === indefinite ? !this.atBreak() : done < length;
  }

  private enter(depth: number): void {
    if (depth > maxDepth) throw this.fault(`nested deeper than ${maxDepth}`);
  }

  private array(length: number, depth: number): unknown[] {
    this.enter(depth);
    const result: unknown[] = [];
    for (let done = 0; this.more(length, done); done++) result.push(this.value(depth));
    return result;
  }

  /** map is an object, or, from the first key that is not text on, a Map. */
  private map(length: number, depth: number): unknown {
    this.enter(depth);
    const object: Record<string, unknown> = {};
    for (let done = 0; this.more(length, done); done++) {
      if ((this.bytes[this.at] ?? 0) >> 5 !== 3) return this.entries(length, done, depth, new Map(Object.entries(object)));
      const key = this.value(depth) as string;
      if (Object.hasOwn(object, key)) throw this.fault("a map has a key twice");
      define(object, key, this.value(depth));
    }
    return object;
  }

  /** entries reads the entries behind so many into a Map. Keys that are objects are compared by their bytes. */
  private entries(length: number, from: number, depth: number, map: Map<unknown, unknown>): Map<unknown, unknown> {
    this.enter(depth);
    const seen = new Set<string>();
    for (let done = from; this.more(length, done); done++) {
      const start = this.at;
      const key = this.value(depth);
      const bytes = typeof key === "object" && key !== null ? this.bytes.subarray(start, this.at).join() : undefined;
      if (bytes === undefined ? map.has(key) : seen.has(bytes)) throw this.fault("a map has a key twice");
      if (bytes !== undefined) seen.add(bytes);
      map.set(key, this.value(depth));
    }
    return map;
  }

  private tagged(number: number, depth: number): unknown {
    if ((this.bytes[this.at] ?? 0) >> 5 === 6) throw this.fault("an unknown combination of tags");
    const start = this.at;
    const head = this.first();
    const [major, info] = [head >> 5, head & 31];
    if (number === tag.map && major === 5) return this.entries(this.length(info, 2), 0, depth + 1, new Map());
    this.at = start;
    const content = this.value(depth);
    const value = untag(number, major, content);
    if (value === undefined) throw this.fault(`tag ${number} with such a content has no meaning`);
    return value;
  }

  private other(info: number): unknown {
    switch (info) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      case 23:
        return undefined;
      case 25:
        return halfOf(this.argument(info));
      case 26:
        return this.float(4);
      case 27:
        return this.float(8);
      default:
        throw this.fault(info === 31 ? "a break outside of a value of indefinite length" : "a simple value without meaning");
    }
  }

  private float(size: 4 | 8): number {
    if (this.at + size > this.bytes.length) throw this.fault("the value is cut short");
    const value = size === 4 ? this.view.getFloat32(this.at) : this.view.getFloat64(this.at);
    this.at += size;
    return value;
  }
}

/** define sets a property of its own, also one called __proto__. */
function define(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  else object[key] = value;
}

/** untag is what a tag makes of its content, an item of the major type; undefined: nothing. */
function untag(number: number, major: number, content: unknown): unknown {
  switch (number) {
    case tag.dateText:
      return typeof content === "string" && /^\d{4}-\d\d-\d\d[Tt]/.test(content) ? validDate(Date.parse(content)) : undefined;
    case tag.dateEpoch:
      return typeof content === "number" ? validDate(Math.round(content * 1000)) : undefined;
    case tag.bigPositive:
      return major === 2 ? bigOf(content as Uint8Array) : undefined;
    case tag.bigNegative:
      return major === 2 ? -1n - bigOf(content as Uint8Array) : undefined;
    case tag.set:
      return major === 4 ? new Set(content as unknown[]) : undefined;
    default:
      return major === 2 ? typedArrayOf(number, content as Uint8Array) : undefined;
  }
}

function validDate(ms: number): Date | undefined {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function bigOf(bytes: Uint8Array): bigint {
  let hex = "0x0";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return BigInt(hex);
}

function halfOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 0x3ff;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  return sign * (mantissa + 1024) * 2 ** (exponent - 25);
}

function concat(chunks: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
