// Protobuf for messages that a Schema describes. Unknown fields, and known ones of another wire type, are passed over [FRAME-4].

import { Sink } from "../values/bytes.ts";
import type { Field, FieldType, Schema } from "./schema.ts";

/** Fields is a message by names of its fields. */
export type Fields = Record<string, unknown>;

/** MalformedError: bytes that are not the message that they should be [FRAME-3]. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

const varint = 0;
const delimited = 2;

/** writeMessage appends a message without envelope. Fields at their default are left out. */
export function writeMessage(sink: Sink, schema: Schema, fields: Fields): void {
  for (const field of schema) {
    const value = fields[field.name];
    if (value !== undefined) writeField(sink, field, value);
  }
}

function writeField(sink: Sink, { number, type }: Field, value: unknown): void {
  if (typeof type === "object") {
    if ("message" in type) {
      for (const one of type.repeated ? (value as Fields[]) : [value as Fields]) writeNested(sink, number, type.message, one);
    } else {
      writeNumber(sink, number, type.indexOf(value as string));
    }
    return;
  }
  switch (type) {
    case "number":
    case "uint32":
      return writeNumber(sink, number, value as number);
    case "int64":
      return writeBigint(sink, number, BigInt.asUintN(64, BigInt(value as number)));
    case "uint64":
      return writeBigint(sink, number, value as bigint);
    case "bool":
      return writeNumber(sink, number, value ? 1 : 0);
    case "string":
      return value === "" ? undefined : writeString(sink, number, value as string);
    case "strings":
      return (value as string[]).forEach((one) => writeString(sink, number, one));
    case "bytes":
    case "presentBytes":
      return type === "bytes" && (value as Uint8Array).length === 0 ? undefined : writeBytes(sink, number, value as Uint8Array);
  }
}

function writeTag(sink: Sink, number: number, wireType: number): void {
  writeVarint(sink, number * 8 + wireType);
}

/** writeVarint writes an integer from 0 to 2^53 − 1. */
export function writeVarint(sink: Sink, value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    sink.byte((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  sink.byte(rest);
}

function writeNumber(sink: Sink, number: number, value: number): void {
  if (value <= 0) return;
  writeTag(sink, number, varint);
  writeVarint(sink, value);
}

function writeBigint(sink: Sink, number: number, value: bigint): void {
  if (value === 0n) return;
  writeTag(sink, number, varint);
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) sink.byte(Number(rest & 0x7fn) | 0x80);
  sink.byte(Number(rest));
}

export function writeBytes(sink: Sink, number: number, bytes: Uint8Array): void {
  writeTag(sink, number, delimited);
  writeVarint(sink, bytes.length);
  sink.raw(bytes);
}

const utf8 = new TextEncoder();

function writeString(sink: Sink, number: number, text: string): void {
  writeTag(sink, number, delimited);
  const start = sink.length;
  if (text.length < 0x80) {
    sink.byte(text.length);
    if (sink.ascii(text)) return;
    sink.length = start;
  }
  const bytes = utf8.encode(text);
  writeVarint(sink, bytes.length);
  sink.raw(bytes);
}

function writeNested(sink: Sink, number: number, schema: Schema, fields: Fields): void {
  const nested = new Sink(128);
  writeMessage(nested, schema, fields);
  writeBytes(sink, number, nested.take());
}

/** Reader reads fields one after the other. Bytes that it gives out are views. */
export class Reader {
  private readonly bytes: Uint8Array;
  private at: number;
  private readonly to: number;

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.bytes = bytes;
    this.at = from;
    this.to = to;
  }

  get done(): boolean {
    return this.at >= this.to;
  }

  /** tag reads the number and the wire type of the next field. */
  tag(): { readonly number: number; readonly wireType: number } {
    const value = this.number();
    const number = Math.floor(value / 8);
    if (number < 1 || number > 0x1fffffff) throw new MalformedError("a field number that is not valid");
    return { number, wireType: value % 8 };
  }

  /** number reads a varint, inexactly beyond 2^53. */
  number(): number {
    const first = this.bytes[this.at];
    if (first !== undefined && first < 0x80 && this.at < this.to) {
      this.at++;
      return first;
    }
    return Number(this.bigint());
  }

  bigint(): bigint {
    let low = 0; // 28 bits
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      const byte = this.byte();
      if (i === 9 && byte > 1) break;
      if (i < 4) low |= (byte & 0x7f) << (7 * i);
      else value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return value | BigInt(low);
    }
    throw new MalformedError("a varint of more than 64 bits");
  }

  private byte(): number {
    if (this.at >= this.to) throw new MalformedError("a field that is cut short");
    return this.bytes[this.at++] as number;
  }

  /** delimited reads a field of a length of its own. */
  delimited(): Uint8Array {
    const length = this.number();
    if (length > this.to - this.at) throw new MalformedError("a field that is cut short");
    return this.bytes.subarray(this.at, (this.at += length));
  }

  /** skip passes over a field whose tag was read. */
  skip(number: number, wireType: number, depth = 0): void {
    switch (wireType) {
      case varint:
        this.bigint();
        return;
      case 1:
        return this.advance(8);
      case delimited:
        this.delimited();
        return;
      case 5:
        return this.advance(4);
      case 3:
        return this.skipGroup(number, depth + 1);
      default:
        throw new MalformedError("a wire type that is not known");
    }
  }

  private advance(size: number): void {
    if (size > this.to - this.at) throw new MalformedError("a field that is cut short");
    this.at += size;
  }

  private skipGroup(number: number, depth: number): void {
    if (depth > 100) throw new MalformedError("groups nested too deeply");
    for (;;) {
      const next = this.tag();
      if (next.wireType === 4) {
        if (next.number !== number) throw new MalformedError("a group that ends as another");
        return;
      }
      this.skip(next.number, next.wireType, depth);
    }
  }
}

/** readMessage reads a message; all fields of its schema are there then. */
export function readMessage(schema: Schema, bytes: Uint8Array, into: Fields = defaultsOf(schema)): Fields {
  const reader = new Reader(bytes);
  while (!reader.done) {
    const { number, wireType } = reader.tag();
    const field = schema.find((one) => one.number === number);
    if (field === undefined || wireType !== wireTypeOf(field.type)) reader.skip(number, wireType);
    else into[field.name] = readField(reader, field.type, into[field.name]);
  }
  return into;
}

function wireTypeOf(type: FieldType): number {
  if (typeof type === "object") return "message" in type ? delimited : varint;
  return type === "string" || type === "strings" || type === "bytes" || type === "presentBytes" ? delimited : varint;
}

/** defaultsOf is a message with nothing in it. */
export function defaultsOf(schema: Schema): Fields {
  const fields: Fields = {};
  for (const { name, type } of schema) fields[name] = defaultOf(type);
  return fields;
}

function defaultOf(type: FieldType): unknown {
  if (typeof type === "object") return "message" in type ? (type.repeated ? [] : undefined) : "";
  switch (type) {
    case "number":
    case "uint32":
    case "int64":
      return 0;
    case "uint64":
      return 0n;
    case "bool":
      return false;
    case "string":
      return "";
    case "strings":
      return [];
    case "bytes":
    case "presentBytes":
      return undefined;
  }
}

const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** readField reads a value; before is what the field held so far: lists grow, messages merge. */
function readField(reader: Reader, type: FieldType, before: unknown): unknown {
  if (typeof type === "object") {
    if (!("message" in type)) return type[int32(reader)] ?? "";
    if (!type.repeated) return readMessage(type.message, reader.delimited(), before as Fields | undefined);
    return [...(before as Fields[]), readMessage(type.message, reader.delimited())];
  }
  switch (type) {
    case "number": {
      const value = reader.number();
      if (value > Number.MAX_SAFE_INTEGER) throw new MalformedError("a number beyond 2^53 - 1");
      return value;
    }
    case "uint32":
      return int32(reader) >>> 0;
    case "int64":
      return Number(BigInt.asIntN(64, reader.bigint()));
    case "uint64":
      return reader.bigint();
    case "bool":
      return reader.number() !== 0;
    case "string":
      return textOf(reader);
    case "strings":
      return [...(before as string[]), textOf(reader)];
    case "bytes":
    case "presentBytes": {
      const bytes = reader.delimited();
      return type === "bytes" && bytes.length === 0 ? undefined : bytes;
    }
  }
}

function int32(reader: Reader): number {
  return Number(BigInt.asIntN(32, reader.bigint()));
}

function textOf(reader: Reader): string {
  try {
    return text.decode(reader.delimited());
  } catch (error) {
    if (error instanceof MalformedError) throw error;
    throw new MalformedError("text that is not valid UTF-8"); // [FRAME-5]
  }
}
