import { FramingError, decodeFrame, encodeFrame, headerBytes, lengthOf } from "./frame.ts";
import type { Frame } from "./frame.ts";
import type { Draft } from "./messages.ts";

/** FrameReader takes the frames out of a stream of bytes, which comes in pieces of any size [FRAME-1]. */
export class FrameReader {
  private readonly limit: number;
  /** The beginning of a frame: its prefix or a part of that, or a buffer of its whole size. */
  private rest: Uint8Array = new Uint8Array(0);
  /** How much of rest has come. */
  private filled = 0;

  /** limit bounds a frame with its prefix, and is checked before anything is allocated for it [FRAME-2]. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** read is the frames that a piece completes. What they hold are views of it, or of a buffer of their own. */
  read(piece: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let at = this.filled > 0 ? this.complete(piece, frames) : 0;
    while (piece.length - at >= headerBytes) {
      const size = lengthOf(piece, at, this.limit);
      if (piece.length - at < size) break;
      frames.push({ message: decodeFrame(piece.subarray(at + headerBytes, at + size)), size });
      at += size;
    }
    if (at < piece.length) this.begin(piece.subarray(at));
    return frames;
  }

  /** complete goes on with the frame that has begun, and is how much of the piece was that frame's. */
  private complete(piece: Uint8Array, frames: Frame[]): number {
    let at = 0;
    if (this.filled < headerBytes) {
      at = this.fill(piece, 0, headerBytes);
      if (this.filled < headerBytes) return at;
      this.grow();
    }
    at += this.fill(piece, at, this.rest.length);
    if (this.filled === this.rest.length) {
      frames.push({ message: decodeFrame(this.rest.subarray(headerBytes)), size: this.filled });
      this.filled = 0;
    }
    return at;
  }

  private fill(piece: Uint8Array, from: number, upTo: number): number {
    const count = Math.min(upTo - this.filled, piece.length - from);
    this.rest.set(piece.subarray(from, from + count), this.filled);
    this.filled += count;
    return count;
  }

  private begin(bytes: Uint8Array): void {
    this.rest = new Uint8Array(headerBytes);
    this.filled = 0;
    const at = this.fill(bytes, 0, headerBytes);
    if (this.filled < headerBytes) return;
    this.grow();
    this.fill(bytes, at, this.rest.length);
  }

  /** grow makes room for the whole frame, whose prefix has come. */
  private grow(): void {
    const whole = new Uint8Array(lengthOf(this.rest, 0, this.limit));
    whole.set(this.rest);
    this.rest = whole;
  }
}

/** decodeDatagram reads a datagram: one frame without its length [SESS-21]. */
export function decodeDatagram(bytes: Uint8Array): Frame {
  if (bytes.length === 0) throw new FramingError("an empty datagram");
  return { message: decodeFrame(bytes), size: bytes.length };
}

/** encodeDatagram is a message as a datagram. */
export function encodeDatagram(message: Draft): Uint8Array<ArrayBuffer> {
  return encodeFrame(message).slice(headerBytes);
}
