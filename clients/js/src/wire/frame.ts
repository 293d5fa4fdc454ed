import { Sink } from "../values/bytes.ts";
import type { Draft, Message } from "./messages.ts";
import { MalformedError, Reader, readMessage, writeBytes, writeMessage } from "./protobuf.ts";
import type { Fields } from "./protobuf.ts";
import { kindOf, kinds } from "./schema.ts";

/** headerBytes is the length prefix of a frame [FRAME-1]. */
export const headerBytes = 4;

/** FramingError: bytes that are not whole frames within the limit; they cost the socket [FRAME-2]. */
export class FramingError extends Error {
  override readonly name = "FramingError";
}

/** Unknown is a frame of a kind that this client does not know, by its number [FRAME-4]. */
export interface Unknown {
  readonly kind: "unknown";
  readonly unsupported: number | string;
}

/** Frame is what came in one frame, and how many bytes that were with the prefix. */
export interface Frame {
  readonly message: Message | Unknown;
  readonly size: number;
}

const body = new Sink();
const frame = new Sink();

/** encodeFrame is a message as one frame with its length prefix. */
export function encodeFrame(message: Draft): Uint8Array {
  const { number, schema } = kinds[message.kind];
  try {
    writeMessage(body, schema, message);
    frame.uint32(0);
    writeBytes(frame, number, body.bytes.subarray(0, body.length));
    const bytes = frame.take();
    const length = bytes.length - headerBytes;
    for (let i = 0; i < headerBytes; i++) bytes[i] = length >>> (24 - 8 * i); // a DataView would cost as much as the rest
    return bytes;
  } finally {
    body.drop();
    frame.drop();
  }
}

/** lengthOf is the length, with its prefix, of the frame that begins at an offset; it is checked before anything else. */
export function lengthOf(bytes: Uint8Array, at: number, limit: number): number {
  const length = uint32(bytes, at);
  if (length === 0) throw new FramingError("a frame of length 0");
  if (headerBytes + length > limit) throw new FramingError(`a frame of ${headerBytes + length} bytes, at most ${limit} are taken`);
  return headerBytes + length;
}

/** nextFrame is where the frame that begins at an offset ends. */
function nextFrame(bytes: Uint8Array, at: number, limit: number): number {
  const left = bytes.length - at;
  const size = left < headerBytes ? 0 : lengthOf(bytes, at, limit);
  if (size === 0 || size > left) throw new FramingError("a message that ends within a frame");
  return at + size;
}

function uint32(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 2 ** 24 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!);
}

/** decodeFrame reads what stands in a frame. As protobuf has it, the last kind counts, and repeats of one kind merge. */
export function decodeFrame(bytes: Uint8Array): Message | Unknown {
  const reader = new Reader(bytes);
  let number = 0;
  let bodies: Uint8Array[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag.wireType !== 2) {
      reader.skip(tag.number, tag.wireType);
      continue;
    }
    if (tag.number !== number) bodies = [];
    number = tag.number;
    bodies.push(reader.delimited());
  }
  if (number === 0) throw new MalformedError("the frame names no kind");
  const known = kindOf(number);
  if (known === undefined) return { kind: "unknown", unsupported: number };
  let fields: Fields | undefined;
  for (const one of bodies) fields = readMessage(known.schema, one, fields);
  return { kind: known.kind, ...fields } as unknown as Message;
}

/** decodeFrames reads all frames of a WebSocket message. */
export function decodeFrames(bytes: Uint8Array, limit: number): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = nextFrame(bytes, at, limit);
    frames.push({ message: decodeFrame(bytes.subarray(at + headerBytes, end)), size: end - at });
    at = end;
  }
  return frames;
}
