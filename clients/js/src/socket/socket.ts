import type { Codec, Encoded } from "../wire/codec.ts";
import type { Frame } from "../wire/frame.ts";
import type { Message } from "../wire/messages.ts";
import type { Transport } from "../types.ts";

/**
 * Socket is a way to the gateway, reduced to what a session needs. What is written and read is frames, each on a lane: where
 * `lanes` is set, every channel has a stream of its own, named by its number, and one of them can be lost alone; else all
 * share the socket, and lane 0 is all there is.
 */
export interface Socket {
  readonly transport: Transport;
  readonly lanes: boolean;
  /** Bytes that were sent and have not left the process. */
  readonly bufferedBytes: number;
  /** send writes frames on a lane. One that is not there begins with them. */
  send(data: Encoded, lane: number): void;
  /** finish ends our side of a lane, behind what was sent. */
  finish(lane: number): void;
  /** datagram sends a frame that may be lost; false: there is no such way. */
  datagram(frame: Uint8Array<ArrayBuffer>): boolean;
  /** close leaves; what was sent before may still arrive. */
  close(): void;
  /** ref says whether the socket keeps its process alive, where there are such things. */
  ref(busy: boolean): void;
}

/** SocketEvents is what happens to a socket. Nothing comes after closed. */
export interface SocketEvents {
  opened(): void;
  frames(frames: readonly Frame[], lane: number): void;
  datagram(message: Message): void;
  /** A lane is gone, or ended by the gateway, before it was finished. true: it begins anew; false: it is finished, if it is there. */
  laneLost(lane: number, reason: string): boolean;
  /** Something came that is no frame, or too long a one. The socket is there until it is closed. */
  unreadable(error: Error): void;
  /** The socket is gone, or was never there. unreadable: because of something that came. */
  closed(reason: string, unreadable?: boolean): void;
}

/** WayOptions is what every transport needs to know. */
export interface WayOptions {
  /** `http(s)://host[:port][/base]`, without slash at its end. */
  readonly base: string;
  readonly codec: Codec;
  /** The longest message that is taken. */
  readonly maxMessageBytes: number;
}
