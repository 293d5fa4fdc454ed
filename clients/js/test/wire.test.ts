import { create, fromBinary, fromJson, toBinary } from "@bufbuild/protobuf";
import type { JsonValue } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { FrameSchema } from "../src/gen/stagedoor/client/v1alpha1/client_pb.ts";
import type { Frame } from "../src/gen/stagedoor/client/v1alpha1/client_pb.ts";
import { json, proto } from "../src/wire/codec.ts";
import { FramingError, decodeFrames, encodeFrame } from "../src/wire/frame.ts";
import { decodeText, encodeText } from "../src/wire/json.ts";
import type { Draft, Message, MessageKind } from "../src/wire/messages.ts";
import { MalformedError } from "../src/wire/protobuf.ts";
import { kinds } from "../src/wire/schema.ts";
import type { FieldType, Schema } from "../src/wire/schema.ts";
import { seeded } from "./tools.ts";
import { hex, unhex, vectors } from "./vectors.ts";

const limit = 16 << 20;

/** decodeOne reads one frame with its length prefix. */
function decodeOne(bytes: Uint8Array): Message {
  const [frame, ...more] = decodeFrames(bytes, limit);
  expect(more).toHaveLength(0);
  return frame!.message as Message;
}

/** The generated code names Unsupported's field otherwise than ours, whose `kind` tells messages apart. */
function toGenerated(message: Draft): Frame {
  const { kind, ...fields } = message;
  return create(FrameSchema, { kind: { case: kind, value: generatedFields(kinds[kind].schema, fields) } });
}

function generatedFields(schema: Schema, fields: object): object {
  const result: Record<string, unknown> = {};
  for (const { name, type } of schema) {
    const value = (fields as Record<string, unknown>)[name];
    if (value === undefined) continue;
    result[name === "unsupported" ? "kind" : name] = generatedValue(type, value);
  }
  return result;
}

function generatedValue(type: FieldType, value: unknown): unknown {
  if (typeof type === "object" && "message" in type) {
    return type.repeated ? (value as object[]).map((one) => generatedFields(type.message, one)) : generatedFields(type.message, value as object);
  }
  if (typeof type === "object") return type.indexOf(value as string);
  return type === "number" || type === "int64" ? BigInt(value as number) : value;
}

const framed = (frame: Frame): Uint8Array => {
  const body = toBinary(FrameSchema, frame);
  const bytes = new Uint8Array(body.length + 4);
  new DataView(bytes.buffer).setUint32(0, body.length);
  bytes.set(body, 4);
  return bytes;
};

interface FrameVector {
  name: string;
  hex: string;
  message: JsonValue;
  encode?: boolean;
}

interface Malformed {
  name: string;
  hex: string;
  limit: number;
  failure: "framing" | "frame" | "message" | "unknown";
  kind?: number;
}

describe("the vectors of frames", () => {
  const { frames, malformed } = vectors("frames-client") as { frames: FrameVector[]; malformed: Malformed[] };

  test.each(frames.map((one) => [one.name, one] as const))("%s", (_, vector) => {
    const message = decodeOne(unhex(vector.hex));
    const generated = fromJson(FrameSchema, vector.message);
    expect(message.kind).toBe(generated.kind.case);
    if (vector.encode !== false) expect(hex(encodeFrame(message))).toBe(vector.hex);
    expect(hex(framed(toGenerated(message)))).toBe(hex(framed(generated)));
  });

  test.each(malformed.map((one) => [one.name, one] as const))("malformed: %s", (_, vector) => {
    const read = () => decodeFrames(unhex(vector.hex), vector.limit);
    if (vector.failure === "unknown") expect(read()[0]?.message).toStrictEqual({ kind: "unknown", unsupported: vector.kind });
    else expect(read).toThrow(vector.failure === "framing" ? FramingError : MalformedError);
  });
});

interface TextVector {
  name: string;
  json: string;
  hex: string;
  write?: boolean;
}

describe("the vectors of JSON messages", () => {
  const { messages, unknown } = vectors("client-json") as { messages: TextVector[]; unknown: { name: string; json: string; answer: string }[] };

  test.each(messages.map((one) => [one.name, one] as const))("%s", (_, vector) => {
    const message = decodeText(vector.json);
    expect(hex(encodeFrame(message as Message))).toBe(hex(encodeFrame(decodeOne(unhex(vector.hex)))));
    if (vector.write !== false) expect(JSON.parse(encodeText(decodeOne(unhex(vector.hex))))).toStrictEqual(JSON.parse(vector.json));
  });

  test.each(unknown.map((one) => [one.name, one] as const))("unknown: %s", (_, vector) => {
    expect(decodeText(vector.json)).toMatchObject({ kind: "unknown" });
  });

  test("what is no object of a form that is known is malformed", () => {
    for (const text of ["", "1", "[]", "null", '{"id":1}', "{"]) expect(() => decodeText(text)).toThrow(MalformedError);
  });
});

function randomMessage(random: () => number): Draft {
  const names = Object.keys(kinds) as MessageKind[];
  const kind = names[Math.floor(random() * names.length)]!;
  return { kind, ...randomFields(random, kinds[kind].schema) };
}

function randomFields(random: () => number, schema: Schema): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const { name, type } of schema) {
    if (random() < 0.7) fields[name] = randomField(random, type);
  }
  return fields;
}

function randomField(random: () => number, type: FieldType): unknown {
  const integer = (bits: number) => Math.floor(random() * 2 ** Math.floor(random() * (bits + 1)));
  const text = () => Array.from({ length: integer(8) }, () => String.fromCodePoint(32 + Math.floor(random() * (random() < 0.9 ? 90 : 0x3000)))).join("");
  const list = <T>(make: () => T) => Array.from({ length: integer(2) }, make);
  if (typeof type === "object") {
    if (!("message" in type)) return type[Math.floor(random() * type.length)];
    return type.repeated ? list(() => randomFields(random, type.message)) : randomFields(random, type.message);
  }
  switch (type) {
    case "number":
      return integer(53);
    case "uint32":
      return integer(32);
    case "int64":
      return integer(53) * (random() < 0.3 ? -1 : 1);
    case "uint64":
      return BigInt(integer(53)) * BigInt(integer(11));
    case "bool":
      return random() < 0.5;
    case "string":
      return text();
    case "strings":
      return list(text);
    default:
      return Uint8Array.from({ length: integer(9) }, () => random() * 256);
  }
}

describe("against the generated code", () => {
  test("what is written is the same, and is read as it was", () => {
    const random = seeded(3);
    for (let i = 0; i < 5000; i++) {
      const message = randomMessage(random);
      const generated = framed(toGenerated(message));
      expect(hex(encodeFrame(message))).toBe(hex(generated));
      expect(hex(framed(toGenerated(decodeOne(generated))))).toBe(hex(generated));
    }
  });

  test("damaged frames are refused or read alike", () => {
    const random = seeded(5);
    let read = 0;
    for (let i = 0; i < 20_000; i++) {
      const bytes = encodeFrame(randomMessage(random)).slice(4);
      for (let n = 0; n < 1 + random() * 3; n++) bytes[Math.floor(random() * bytes.length)] = random() * 256;
      const ours = outcome(() => decodeOne(prefixed(bytes)));
      const theirs = outcome(() => fromBinary(FrameSchema, bytes));
      // We are stricter with ids beyond 2^53 and frames without kind, they with a known field of another wire type.
      if (ours === undefined || theirs === undefined || (ours as { kind: string }).kind === "unknown") continue;
      read++;
      expect(ours.kind).toBe(theirs.kind.case);
    }
    expect(read).toBeGreaterThan(1000);
  });
});

function outcome<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return undefined;
  }
}

function prefixed(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 4);
  new DataView(bytes.buffer).setUint32(0, body.length);
  bytes.set(body, 4);
  return bytes;
}

test("several frames go into one message up to a limit, and come out again", () => {
  const frames = [1, 2, 3].map((id) => encodeFrame({ kind: "cancelCall", id }) as Uint8Array<ArrayBuffer>);
  const rest = [...frames];
  const message = proto.pack(rest, frames[0]!.length * 2) as Uint8Array;
  expect(rest).toHaveLength(1);
  expect(proto.decode(message, limit).map((frame) => frame.message)).toStrictEqual([
    { kind: "cancelCall", id: 1, connection: 0 },
    { kind: "cancelCall", id: 2, connection: 0 },
  ]);
  expect(() => proto.decode("{}", limit)).toThrow(FramingError);
  expect(() => json.decode(message, limit)).toThrow(FramingError);
});
