const encoder = new TextEncoder();

/** Sink is a buffer that grows, for what is written from front to back. */
export class Sink {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;
  private readonly initial: number;
  private view: DataView;

  constructor(initial = 1024) {
    this.initial = initial;
    this.bytes = new Uint8Array(initial);
    this.view = new DataView(this.bytes.buffer);
  }

  /** room makes room for so many bytes more. */
  room(size: number): void {
    const needed = this.length + size;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  byte(value: number): void {
    this.room(1);
    this.bytes[this.length++] = value;
  }

  uint16(value: number): void {
    this.room(2);
    this.view.setUint16(this.length, value);
    this.length += 2;
  }

  uint32(value: number): void {
    this.room(4);
    this.view.setUint32(this.length, value);
    this.length += 4;
  }

  uint64(value: bigint): void {
    this.room(8);
    this.view.setBigUint64(this.length, value);
    this.length += 8;
  }

  float32(value: number): void {
    this.room(4);
    this.view.setFloat32(this.length, value);
    this.length += 4;
  }

  float64(value: number): void {
    this.room(8);
    this.view.setFloat64(this.length, value);
    this.length += 8;
  }

  raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** utf8 writes a well-formed text and returns how many bytes that were. */
  utf8(text: string): number {
    this.room(text.length * 3);
    const { written } = encoder.encodeInto(text, this.bytes.subarray(this.length));
    this.length += written;
    return written;
  }

  /** ascii writes a text if it is all ASCII; else it writes nothing and says false. */
  ascii(text: string): boolean {
    this.room(text.length);
    const { bytes } = this;
    const from = this.length;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return false;
      bytes[from + i] = code;
    }
    this.length = from + text.length;
    return true;
  }

  /** take copies what was written and starts anew. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.length);
    this.drop();
    return taken;
  }

  /** drop forgets what was written. */
  drop(): void {
    this.length = 0;
    if (this.bytes.length > 1 << 20) this.shrink();
  }

  private shrink(): void {
    this.bytes = new Uint8Array(this.initial);
    this.view = new DataView(this.bytes.buffer);
  }
}

/** isWellFormed tells whether UTF-8 can hold a text: it has no lone surrogates. */
export function isWellFormed(text: string): boolean {
  return !/[\ud800-\udfff]/.test(text) || !/\p{Surrogate}/u.test(text);
}

/** compareBytes orders bytes as numbers, first difference first, a prefix before what it begins. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
