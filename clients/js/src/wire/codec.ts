import { decode, toJson } from "../values/index.ts";
import { FramingError, decodeFrames, encodeFrame } from "./frame.ts";
import type { Frame } from "./frame.ts";
import { decodeText, encodeText } from "./json.ts";
import type { Draft } from "./messages.ts";

/** Encoded is a frame, or several, as a WebSocket message takes them. */
export type Encoded = Uint8Array<ArrayBuffer> | string;

/** Codec is one of the two forms of a session [SESS-1]. */
export interface Codec {
  /** The WebSocket's. */
  readonly subprotocol: string;
  encode(message: Draft): Encoded;
  /** pack puts frames in the first of which something stands into one WebSocket message, as many as fit; it takes those from the list. */
  pack(frames: Encoded[], limit: number): Encoded;
  /** decode reads a WebSocket message. FramingError, MalformedError: the socket cannot be used any more. */
  decode(data: Uint8Array | string, limit: number): Frame[];
  /** check refuses, with a NotStorableError, a payload of CBOR that this form cannot carry. */
  check(payload: Uint8Array, root: string): void;
}

/** proto is binary messages of frames. */
export const proto: Codec = {
  subprotocol: "stagedoor.v1.proto",
  encode: encodeFrame as (message: Draft) => Encoded,
  pack(frames, limit) {
    let size = 0;
    let count = 0;
    for (const frame of frames as Uint8Array[]) {
      if (count > 0 && size + frame.length > limit) break;
      size += frame.length;
      count++;
    }
    if (count === 1) return frames.shift() as Encoded;
    const message = new Uint8Array(size);
    let at = 0;
    for (const frame of frames.splice(0, count) as Uint8Array[]) {
      message.set(frame, at);
      at += frame.length;
    }
    return message;
  },
  decode(data, limit) {
    if (typeof data === "string") throw new FramingError("a text message on a binary session");
    return decodeFrames(data, limit);
  },
  check() {},
};

/** json is one JSON object per text message. */
export const json: Codec = {
  subprotocol: "stagedoor.v1.json",
  encode: encodeText,
  pack: (frames) => frames.shift() as Encoded,
  decode(data, limit) {
    if (typeof data !== "string") throw new FramingError("a binary message on a JSON session");
    if (data.length > limit) throw new FramingError(`a message of ${data.length} characters, at most ${limit} are taken`);
    return [{ message: decodeText(data), size: data.length }];
  },
  check(payload, root) {
    toJson(decode(payload), { root });
  },
};
