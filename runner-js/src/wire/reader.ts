// Protobuf fields read by hand, without a copy. A field of another wire type than the known one counts as unknown.
import { malformed } from "./fault.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Wire types. */
export const VARINT = 0;
export const BYTES = 2;

const MAX_TAG = 2 ** 32 - 1;

/**
 * Reader reads the fields of one message: next, then one of the value methods, or skip. It may be used for one message after
 * another.
 */
export class Reader {
  buf: Buffer = Buffer.alloc(0);
  pos = 0;
  end = 0;
  /** What next has read. */
  field = 0;
  type = 0;

  over(buf: Buffer, pos: number, end: number): this {
    this.buf = buf;
    this.pos = pos;
    this.end = end;
    return this;
  }

  next(): boolean {
    if (this.pos >= this.end) return false;
    let tag = this.buf[this.pos]!;
    if (tag < 0x80) {
      this.pos++;
    } else {
      tag = this.uint();
      if (tag > MAX_TAG) throw malformed("a field number is too large");
    }
    this.type = tag & 7;
    this.field = tag >>> 3;
    if (this.field === 0) throw malformed("a field has the number 0");
    return true;
  }

  /** uint reads a varint. Beyond 2^53 it is not exact; see id. */
  uint(): number {
    const { buf, end } = this;
    let pos = this.pos;
    let v = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      if (pos >= end) throw malformed("a number is cut off");
      const b = buf[pos++]!;
      if (b < 0x80) {
        if (i === 9 && b > 1) break;
        this.pos = pos;
        return v + b * scale;
      }
      v += (b & 0x7f) * scale;
      scale *= 128;
    }
    throw malformed("a number takes more than 64 bits");
  }

  /** id reads a ref, an id, a version or an offset [FRAME-7]. */
  id(): number {
    const v = this.uint();
    if (v > Number.MAX_SAFE_INTEGER) throw malformed("a number exceeds 2^53 - 1");
    return v;
  }

  uint32(): number {
    const v = this.uint();
    return v <= 0xffffffff ? v : Number(BigInt.asUintN(32, BigInt(v)));
  }

  /** time reads a signed number. */
  time(): number {
    return Number(BigInt.asIntN(64, this.bigint()));
  }

  bigint(): bigint {
    const from = this.pos;
    const v = this.uint();
    if (v <= Number.MAX_SAFE_INTEGER) return BigInt(v);
    let exact = 0n;
    for (let at = from, shift = 0n; at < this.pos; at++, shift += 7n) exact |= BigInt(this.buf[at]! & 0x7f) << shift;
    return exact;
  }

  bool(): boolean {
    return this.uint() !== 0;
  }

  /** length reads that of a delimited field, of which pos is then the beginning. */
  length(): number {
    const n = this.uint();
    if (n > this.end - this.pos) throw malformed("a field is cut off");
    return n;
  }

  /** bytes aliases what is read. */
  bytes(): Uint8Array {
    const n = this.length();
    const from = this.pos;
    this.pos += n;
    return new Uint8Array(this.buf.buffer, this.buf.byteOffset + from, n);
  }

  string(): string {
    const n = this.length();
    const from = this.pos;
    const to = (this.pos += n);
    const { buf } = this;
    if (n < 64) {
      let i = from;
      while (i < to && buf[i]! < 0x80) i++;
      if (i === to) return buf.toString("latin1", from, to);
    }
    try {
      return strict.decode(buf.subarray(from, to));
    } catch {
      throw malformed("a string is not valid UTF-8"); // [FRAME-5]
    }
  }

  /** enter goes into the message of the field; leave(what it gave) goes back. */
  enter(): number {
    const n = this.length();
    const outer = this.end;
    this.end = this.pos + n;
    return outer;
  }

  leave(outer: number): void {
    this.pos = this.end;
    this.end = outer;
  }

  skip(): void {
    switch (this.type) {
      case VARINT:
        this.uint();
        return;
      case BYTES:
        return this.skipBytes(this.length());
      case 1:
        return this.skipBytes(8);
      case 5:
        return this.skipBytes(4);
      case 3:
        return this.skipGroup(this.field, 0);
      default:
        throw malformed(`a field has the wire type ${this.type}`);
    }
  }

  private skipBytes(n: number): void {
    if (n > this.end - this.pos) throw malformed("a field is cut off");
    this.pos += n;
  }

  private skipGroup(field: number, depth: number): void {
    if (depth > 100) throw malformed("groups are nested too deep");
    while (this.next()) {
      if (this.type === 4) {
        if (this.field !== field) throw malformed("a group ends that did not begin");
        return;
      }
      if (this.type === 3) this.skipGroup(this.field, depth + 1);
      else this.skip();
    }
    throw malformed("a group is cut off");
  }
}
