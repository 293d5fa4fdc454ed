import { HEADER } from "../wire/frame.ts";

/** The largest buffer that stays while nothing is kept. */
const MAX_IDLE = 1 << 20;

/**
 * Kept are the counted frames that were written and are not acknowledged, in one buffer: what another socket gets again
 * [LINK-15] [LINK-16].
 */
export class Kept {
  private buf: Buffer = Buffer.allocUnsafeSlow(64 << 10);
  private base = 0;
  private end = 0;
  /** Where the next frame stands that is to be written again; at the end there is none. */
  private again = 0;

  get size(): number {
    return this.end - this.base;
  }

  get isWritten(): boolean {
    return this.again === this.end;
  }

  /** add keeps frames that were just written. */
  add(frames: Uint8Array): void {
    this.reserve(frames.length);
    this.buf.set(frames, this.end);
    this.end += frames.length;
    this.again = this.end;
  }

  /** drop forgets the first n frames. */
  drop(n: number): void {
    for (; n > 0; n--) this.base += this.frameLength(this.base);
    if (this.base < this.end) return;
    this.base = this.end = this.again = 0;
    if (this.buf.length > MAX_IDLE) this.buf = Buffer.allocUnsafeSlow(64 << 10);
  }

  /** rewind has everything written again. */
  rewind(): void {
    this.again = this.base;
  }

  /** next gives about limit bytes of frames to be written again, and their number. They are valid until add. */
  next(limit: number): { bytes: Buffer; frames: number } {
    const from = this.again;
    let frames = 0;
    for (; this.again < this.end && this.again - from < limit; frames++) this.again += this.frameLength(this.again);
    return { bytes: this.buf.subarray(from, this.again), frames };
  }

  private frameLength(at: number): number {
    return HEADER + this.buf.readUInt32BE(at);
  }

  private reserve(n: number): void {
    if (this.end + n <= this.buf.length) return;
    const need = this.size + n;
    const to = need * 2 > this.buf.length ? Buffer.allocUnsafeSlow(need * 2) : this.buf;
    this.buf.copy(to, 0, this.base, this.end);
    this.again -= this.base;
    this.end -= this.base;
    this.base = 0;
    this.buf = to;
  }
}
