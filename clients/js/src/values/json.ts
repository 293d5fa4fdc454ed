import { isWellFormed } from "./bytes.ts";
import { InvalidPayloadError } from "./errors.ts";
import { Trail, describe, isPlain, maxDepth } from "./forms.ts";
import type { EncodeOptions } from "./encode.ts";

/** toJson is one value as tagged JSON [JSON-2] [JSON-3]. What cannot be carried is a NotStorableError: typed arrays, too. */
export function toJson(value: unknown, options?: EncodeOptions): string {
  return new Writer(new Trail(options?.root ?? "value")).value(value, 0);
}

class Writer {
  private readonly trail: Trail;

  constructor(trail: Trail) {
    this.trail = trail;
  }

  value(value: unknown, depth: number): string {
    switch (typeof value) {
      case "string":
        return this.text(value, depth);
      case "number":
        return numberText(value);
      case "boolean":
        return String(value);
      case "undefined":
        return '["$Undefined",0]';
      case "bigint":
        return `["$BigInt","${value}"]`;
      case "object":
        return value === null ? "null" : this.object(value, depth);
      default:
        throw this.trail.error(depth, describe(value));
    }
  }

  private text(text: string, depth: number): string {
    if (!isWellFormed(text)) throw this.trail.error(depth, "its text has a lone surrogate, which UTF-8 cannot hold");
    return JSON.stringify(text);
  }

  private object(value: object, depth: number): string {
    if (Array.isArray(value)) return this.array(value, value, depth + 1);
    if (isPlain(value)) return this.plain(value, depth + 1);
    if (value instanceof Date) return this.date(value, depth);
    if (value instanceof Map) return this.map(value, depth + 1);
    if (value instanceof Set) return `["$Set",${this.array([...(value as Set<unknown>)], value, depth + 1)}]`;
    if (value instanceof Uint8Array) return `["$Uint8Array","${toBase64(value)}"]`;
    if (value instanceof ArrayBuffer) return `["$Uint8Array","${toBase64(new Uint8Array(value))}"]`;
    throw this.trail.error(depth, describe(value));
  }

  private array(elements: readonly unknown[], container: object, depth: number): string {
    this.trail.enter(depth, container);
    const parts: string[] = [];
    for (let i = 0; i < elements.length; i++) {
      this.trail.step(depth, i);
      parts.push(this.value(elements[i], depth));
    }
    return join(parts, elements[0]);
  }

  private plain(value: Record<string, unknown>, depth: number): string {
    this.trail.enter(depth, value);
    const parts = Object.keys(value).map((key) => {
      this.trail.step(depth, key);
      return `${this.text(key, depth)}:${this.value(value[key], depth)}`;
    });
    return `{${parts.join(",")}}`;
  }

  private map(value: ReadonlyMap<unknown, unknown>, depth: number): string {
    this.trail.enter(depth, value);
    const parts = [...value].map(([key, element]) => {
      this.trail.step(depth, key);
      return join([this.value(key, depth), this.value(element, depth)], key);
    });
    return `["$Map",[${parts.join(",")}]]`;
  }

  private date(value: Date, depth: number): string {
    const ms = value.getTime();
    if (Number.isNaN(ms)) throw this.trail.error(depth, "it is an invalid date");
    return `["$Date",${ms}]`;
  }
}

/** join makes an array of its elements' texts; one of two that begins with "$" gets one more [JSON-3]. */
function join(parts: string[], first: unknown): string {
  if (parts.length === 2 && typeof first === "string" && first.startsWith("$")) parts[0] = `"$${(parts[0] as string).slice(1)}`;
  return `[${parts.join(",")}]`;
}

/** numberText writes integers beyond 2^53 - 1 so that they are read as floats [JSON-1]. */
function numberText(value: number): string {
  if (!Number.isFinite(value)) return `["$Number","${value}"]`;
  if (Object.is(value, -0)) return "-0.0";
  return Number.isInteger(value) && !Number.isSafeInteger(value) && !String(value).includes("e") ? `${value}.0` : String(value);
}

/** fromJson is the value of tagged JSON that JSON.parse has read. Anything of another form is an InvalidPayloadError. */
export function fromJson(parsed: unknown): unknown {
  return read(parsed, 0);
}

function read(parsed: unknown, depth: number): unknown {
  if (typeof parsed !== "object" || parsed === null) return parsed;
  if (depth >= maxDepth) throw new InvalidPayloadError(`nested deeper than ${maxDepth}`);
  if (Array.isArray(parsed)) {
    const [name, content] = parsed as unknown[];
    if (parsed.length === 2 && typeof name === "string" && name.startsWith("$")) return untag(name, content, depth);
    return parsed.map((element) => read(element, depth + 1));
  }
  const object = parsed as Record<string, unknown>; // which has no other owner
  for (const key of Object.keys(object)) {
    const value = read(object[key], depth + 1);
    if (key !== "__proto__") object[key] = value;
    else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  }
  return object;
}

function untag(name: string, content: unknown, depth: number): unknown {
  switch (name) {
    case "$BigInt":
      if (typeof content === "string" && /^-?(0|[1-9]\d*)$/.test(content)) return BigInt(content);
      break;
    case "$Uint8Array":
      if (typeof content === "string") return fromBase64(content);
      break;
    case "$Undefined":
      if (content === 0) return undefined;
      break;
    case "$Date":
      if (typeof content === "number" && !Number.isNaN(new Date(content).getTime())) return new Date(content);
      break;
    case "$Number":
      if (content === "NaN" || content === "Infinity" || content === "-Infinity") return Number(content);
      break;
    case "$Set":
      if (Array.isArray(content)) return new Set(plainArray(content, depth));
      break;
    case "$Map":
      if (Array.isArray(content)) return mapOf(content, depth);
      break;
    default:
      if (name.startsWith("$$")) return [name.slice(1), read(content, depth + 1)];
  }
  throw new InvalidPayloadError(`${name} with such a content has no meaning`);
}

/** plainArray reads an array that is written as a real one inside a tag, where [JSON-3] holds, too. */
function plainArray(content: unknown[], depth: number): unknown[] {
  const value = read(content, depth);
  if (!Array.isArray(value)) throw new InvalidPayloadError("a tag inside a tag has no meaning");
  return value as unknown[];
}

function mapOf(content: unknown[], depth: number): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  for (const entry of content) {
    const pair = Array.isArray(entry) && entry.length === 2 ? plainArray(entry as unknown[], depth + 1) : [];
    if (pair.length !== 2) throw new InvalidPayloadError("a pair of $Map is not an array of two");
    if (map.has(pair[0])) throw new InvalidPayloadError("$Map has a key twice");
    map.set(pair[0], pair[1]);
  }
  return map;
}

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x2000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x2000));
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array {
  try {
    if (text.length % 4 === 0) return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    // said below
  }
  throw new InvalidPayloadError("$Uint8Array is written with base64, padded");
}
