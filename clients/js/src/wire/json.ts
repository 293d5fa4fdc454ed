// The JSON form of sessions [SESS-10]: one object per message. Payloads are CBOR on this side of it.

import { parseSegment, segmentOf } from "../address.ts";
import { decode, encode, fromJson, toJson } from "../values/index.ts";
import type { Unknown } from "./frame.ts";
import type { Address, Draft, Message, MessageKind } from "./messages.ts";
import { MalformedError } from "./protobuf.ts";
import type { Fields } from "./protobuf.ts";
import { kindOf, kinds } from "./schema.ts";
import type { Field, FieldType, Schema } from "./schema.ts";

/** Kinds that only WebTransport has, which is binary. */
const binaryOnly = new Set(["connectionResume", "connectionResumed"]);
const payloads = new Set(["args", "output", "input", "params", "metadata"]);
const utf8 = { write: new TextEncoder(), read: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }) };

/** encodeText is a message as JSON. */
export function encodeText(message: Draft): string {
  const rest = writeObject(kinds[message.kind].schema, message);
  return `{"type":${JSON.stringify(message.kind)}${rest === "" ? "" : `,${rest}`}}`;
}

/** writeObject is the members of an object, without braces. */
function writeObject(schema: Schema, fields: Fields): string {
  const members: string[] = [];
  for (const field of schema) {
    const value = fields[field.name];
    const text = value === undefined ? undefined : writeMember(field, value);
    if (text !== undefined) members.push(text);
  }
  return members.join(",");
}

function writeMember({ name, type }: Field, value: unknown): string | undefined {
  const member = (text: string, as = name) => `${JSON.stringify(as)}:${text}`;
  if (name === "target") return member(writeTarget(value as Address));
  if (name === "targetId") return value === "" ? undefined : member(JSON.stringify(`@${value as string}`), "target");
  if (name === "trace") return member(JSON.stringify(traceparent(value as Uint8Array)), "traceparent");
  if (name === "unsupported") return member(JSON.stringify(typeof value === "number" ? kindOf(value)?.kind : value), "kind");
  if (value instanceof Uint8Array) {
    if (value.length === 0) return undefined;
    return member(payloads.has(name) ? toJson(decode(value)) : JSON.stringify(utf8.read.decode(value)));
  }
  if (typeof type === "object" && "message" in type) return writeMessages(type, value, member);
  if (value === 0 || value === 0n || value === "" || (value === false && name !== "retryable") || (Array.isArray(value) && value.length === 0)) return undefined;
  return member(typeof value === "bigint" ? String(value) : JSON.stringify(value));
}

function writeMessages(
  type: { readonly message: Schema; readonly repeated?: boolean },
  value: unknown,
  member: (text: string) => string,
): string | undefined {
  if (!type.repeated) return member(`{${writeObject(type.message, value as Fields)}}`);
  const list = value as Fields[];
  return list.length === 0 ? undefined : member(`[${list.map((one) => `{${writeObject(type.message, one)}}`).join(",")}]`);
}

function writeTarget(address: Address): string {
  return JSON.stringify(address.namespace === "" ? segmentOf({ address, id: "" }) : address);
}

/** decodeText reads a message. */
export function decodeText(text: string): Message | Unknown {
  const object = parse(text);
  const kind = object["type"];
  if (typeof kind !== "string") throw new MalformedError("a JSON message without type");
  if (!Object.hasOwn(kinds, kind) || binaryOnly.has(kind)) return { kind: "unknown", unsupported: kind };
  const fields = readObject(kinds[kind as MessageKind].schema, object);
  if (typeof object["target"] === "string" && object["target"].startsWith("@")) fields["targetId"] = object["target"].slice(1);
  return { kind, ...fields } as unknown as Message;
}

function parse(text: string): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new MalformedError("a text message that is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw new MalformedError("a JSON message that is no object");
  return parsed as Fields;
}

function readObject(schema: Schema, object: Fields): Fields {
  const fields: Fields = {};
  for (const field of schema) fields[field.name] = readMember(field, object);
  return fields;
}

function readMember({ name, type }: Field, object: Fields): unknown {
  if (name === "trace") return traceOf(object["traceparent"]);
  const value = object[name === "unsupported" ? "kind" : name];
  if (name === "unsupported") return value ?? "";
  if (name === "target") return readTarget(value);
  if (type === "bytes" || type === "presentBytes") return readBytes(name, value);
  if (typeof type !== "object") return readScalar(type, value);
  if (!("message" in type)) return type.includes(value as string) ? value : "";
  if (type.repeated) return listOf(value).map((one) => readObject(type.message, one as Fields));
  return typeof value === "object" && value !== null ? readObject(type.message, value as Fields) : undefined;
}

function readBytes(name: string, value: unknown): Uint8Array | undefined {
  if (value === undefined) return undefined;
  if (payloads.has(name)) return encode(fromJson(value));
  return typeof value === "string" && value !== "" ? utf8.write.encode(value) : undefined;
}

function readScalar(type: Exclude<FieldType, object>, value: unknown): unknown {
  switch (type) {
    case "string":
      return typeof value === "string" ? value : "";
    case "strings":
      return listOf(value).map(String);
    case "bool":
      return value === true;
    case "uint64":
      return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : 0n;
    default:
      return typeof value === "number" ? value : 0;
  }
}

function readTarget(value: unknown): Address | undefined {
  if (typeof value === "string") return value.startsWith("@") ? undefined : parseSegment(value);
  if (typeof value !== "object" || value === null) return undefined;
  const { namespace, type, key } = value as Fields;
  return { namespace: typeof namespace === "string" ? namespace : "", type: String(type), key: listOf(key).map(String) };
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** traceparent is the header's text of trace id, parent id and flags. */
function traceparent(trace: Uint8Array): string {
  const hex = Array.from(trace, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `00-${hex.slice(0, 32)}-${hex.slice(32, 48)}-${hex.slice(48)}`;
}

function traceOf(value: unknown): Uint8Array | undefined {
  const match = typeof value === "string" ? /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(value) : null;
  if (match === null) return undefined;
  return Uint8Array.from(match.slice(1).join("").match(/../g) as string[], (pair) => Number.parseInt(pair, 16));
}
