// Protobuf fields written by hand into one growing buffer. As in proto3, a field at its default is not written.

export class Writer {
  buf: Buffer;
  pos = 0;

  constructor(size = 64 << 10) {
    this.buf = Buffer.allocUnsafeSlow(size);
  }

  /** bytes written so far; they alias the buffer. */
  view(from = 0): Buffer {
    return this.buf.subarray(from, this.pos);
  }

  /** reserve makes room for n more bytes. */
  reserve(n: number): void {
    if (this.pos + n <= this.buf.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buf.length * 2, this.pos + n));
    this.buf.copy(grown, 0, 0, this.pos);
    this.buf = grown;
  }

  varint(v: number): void {
    this.reserve(10);
    const buf = this.buf;
    let pos = this.pos;
    while (v > 0x7fffffff) {
      buf[pos++] = (v % 128) | 0x80;
      v = Math.floor(v / 128);
    }
    while (v > 0x7f) {
      buf[pos++] = (v & 0x7f) | 0x80;
      v >>>= 7;
    }
    buf[pos++] = v;
    this.pos = pos;
  }

  tag(field: number, type: number): void {
    this.varint(field * 8 + type);
  }

  uint(field: number, v: number | undefined): void {
    if (!v) return;
    this.tag(field, 0);
    this.varint(v);
  }

  bigint(field: number, v: bigint): void {
    if (v === 0n) return;
    this.tag(field, 0);
    this.reserve(10);
    let rest = BigInt.asUintN(64, v);
    for (; rest > 0x7fn; rest >>= 7n) this.buf[this.pos++] = Number(rest & 0x7fn) | 0x80;
    this.buf[this.pos++] = Number(rest);
  }

  bool(field: number, v: boolean | undefined): void {
    if (v) this.uint(field, 1);
  }

  /** present writes a field that is there even if it is empty. */
  present(field: number, v: Uint8Array): void {
    const n = v.length;
    this.tag(field, 2);
    this.varint(n);
    this.raw(v);
  }

  bytes(field: number, v: Uint8Array | undefined): void {
    if (v !== undefined && v.length > 0) this.present(field, v);
  }

  raw(v: Uint8Array): void {
    const n = v.length;
    this.reserve(n);
    if (n < 24) {
      for (let i = 0; i < n; i++) this.buf[this.pos + i] = v[i]!;
    } else {
      this.buf.set(v, this.pos);
    }
    this.pos += n;
  }

  string(field: number, v: string): void {
    if (v === "") return;
    this.tag(field, 2);
    this.text(v);
  }

  /** text writes the length and bytes of a string. Short ASCII, which names are, takes no call out of JavaScript. */
  text(v: string): void {
    const n = v.length;
    this.reserve(n + 1);
    if (n < 64) {
      const { buf, pos } = this;
      let i = 0;
      for (; i < n; i++) {
        const c = v.charCodeAt(i);
        if (c > 0x7f) break;
        buf[pos + 1 + i] = c;
      }
      if (i === n) {
        buf[pos] = n;
        this.pos = pos + 1 + n;
        return;
      }
    }
    const size = Buffer.byteLength(v);
    this.varint(size);
    this.reserve(size);
    this.pos += this.buf.write(v, this.pos);
  }

  packed(field: number, list: readonly number[] | undefined): void {
    if (list === undefined || list.length === 0) return;
    const mark = this.open(field, list.length);
    for (const v of list) this.varint(v);
    this.close(mark, list.length);
  }

  /** open begins a message in a field, of about hint bytes; the same hint and the mark go to close. */
  open(field: number, hint: number): number {
    this.tag(field, 2);
    this.reserve(5);
    return (this.pos += varintSize(hint));
  }

  /** close puts the length in front, and moves the message where the hint was wrong. */
  close(mark: number, hint: number): void {
    const size = this.pos - mark;
    const have = varintSize(hint);
    const shift = varintSize(size) - have;
    if (shift !== 0) {
      this.reserve(5);
      this.buf.copyWithin(mark + shift, mark, this.pos);
    }
    const end = this.pos + shift;
    this.pos = mark - have;
    this.varint(size);
    this.pos = end;
  }
}

export function varintSize(v: number): number {
  let n = 1;
  for (; v > 0x7f; v /= 128) n++;
  return n;
}
