// Framing: length prefixes and the envelope that says what a frame is [FRAME-1] [FRAME-2].
import { malformed, WireFault } from "./fault.ts";
import { BYTES, Reader } from "./reader.ts";

/** Sizes in bytes. */
export const HEADER = 4;
/** Link frames are not longer [LINK-2]. */
export const MAX_LINK_FRAME = 4 << 10;
/** The most that is written of one actor at a time, and that a Part holds [LINK-3]. */
export const MAX_STEP = 64 << 10;

/** frameLength checks the prefix at pos and gives the length of the frame with it; 0: more bytes are needed [FRAME-2]. */
export function frameLength(buf: Buffer, pos: number, end: number, limit: number): number {
  if (end - pos < HEADER) return 0;
  const n = buf.readUInt32BE(pos);
  if (n === 0) throw new WireFault("framing", "a frame of length 0");
  if (HEADER + n > limit) throw new WireFault("framing", `a frame of ${HEADER + n} bytes, at most ${limit} are allowed`);
  return end - pos < HEADER + n ? 0 : HEADER + n;
}

/** Envelope is what a frame is: kind, and where its message stands in buf. It may be used for one frame after another. */
export class Envelope {
  kind = 0;
  buf: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;

  private readonly reader = new Reader();

  /** read takes the frame between start and end, without its prefix [FRAME-3]. */
  read(buf: Buffer, start: number, end: number): void {
    const r = this.reader.over(buf, start, end);
    if (!r.next()) throw malformed("the frame names no kind");
    if (r.type === BYTES) {
      const n = r.length();
      if (r.pos + n === end) {
        this.set(r.field, buf, r.pos, end);
        return;
      }
    }
    this.readAll(r.over(buf, start, end));
  }

  /** As protobuf has it, the last kind counts, and repeats of one kind merge, which for messages is concatenation. */
  private readAll(r: Reader): void {
    this.kind = 0;
    while (r.next()) {
      if (r.type !== BYTES) {
        r.skip();
        continue;
      }
      const n = r.length();
      const from = r.pos;
      r.pos += n;
      if (this.kind === r.field) {
        const joined = Buffer.concat([this.buf.subarray(this.start, this.end), r.buf.subarray(from, r.pos)]);
        this.set(r.field, joined, 0, joined.length);
      } else {
        this.set(r.field, r.buf, from, r.pos);
      }
    }
    if (this.kind === 0) throw malformed("the frame names no kind");
  }

  private set(kind: number, buf: Buffer, start: number, end: number): void {
    this.kind = kind;
    this.buf = buf;
    this.start = start;
    this.end = end;
  }

  /** number reads a varint field of the message without the rest; 0 if it is not there, or cannot be read. */
  number(field: number): number {
    const r = this.reader.over(this.buf, this.start, this.end);
    let v = 0;
    try {
      while (r.next()) {
        if (r.field === field && r.type === 0) v = r.uint();
        else r.skip();
      }
    } catch {
      return 0;
    }
    return v;
  }

  /** actor is the ref at the beginning of the message of an actor; 0 if there is none. */
  actor(): number {
    const { buf, start, end } = this;
    if (start >= end || buf[start] !== 8) return 0;
    return this.reader.over(buf, start + 1, end).uint();
  }
}
