// The order of writing: one FIFO per lane, served round robin, at most 64 KiB of one lane at a time; longer frames go as Parts
// [LINK-3]. Messages are encoded when they are taken, straight into the buffer of the write.
import { encodeFrame, type RunnerMessage } from "../wire/encode.ts";
import { HEADER, MAX_STEP } from "../wire/frame.ts";
import { sizeHint } from "../wire/hot-encode.ts";
import type { Writer } from "../wire/writer.ts";

/** What envelope, length prefix and the other fields add to the data of a Part, at most. */
const PART_OVERHEAD = 32;
const MAX_DATA = MAX_STEP - PART_OVERHEAD;

/** Lane is the FIFO of one actor, or, with 0, of the frames without actor. */
export class Lane {
  readonly actor: number;
  /** The rest is the Outbox's. */
  queue: RunnerMessage[] = [];
  head = 0;
  ready = false;
  /** A frame of which some Parts were taken. */
  large: { readonly frame: Uint8Array; at: number } | undefined;

  constructor(actor: number) {
    this.actor = actor;
  }

  get isEmpty(): boolean {
    return this.large === undefined && this.head === this.queue.length;
  }

  shift(): void {
    this.head++;
    if (this.head === this.queue.length) {
      this.queue.length = this.head = 0;
    } else if (this.head >= 256 && this.head * 2 > this.queue.length) {
      this.queue.splice(0, this.head);
      this.head = 0;
    }
  }
}

export class Outbox {
  private ready: Lane[] = [];
  private head = 0;
  /** Whose frame is half taken: one at a time, or the peer would hold the Parts of many [LIMIT-5]. */
  private large: Lane | undefined;
  private bytes = 0;

  /** queued is about how many bytes wait. */
  get queued(): number {
    return this.bytes;
  }

  push(lane: Lane, m: RunnerMessage): void {
    lane.queue.push(m);
    this.bytes += sizeHint(m);
    if (lane.ready) return;
    lane.ready = true;
    this.ready.push(lane);
  }

  /** take appends whole frames until about limit bytes are there or nothing is left, and gives their number. */
  take(w: Writer, limit: number): number {
    const start = w.pos;
    let frames = 0;
    while (w.pos - start < limit && this.head < this.ready.length) {
      const lane = this.ready[this.head++]!;
      frames += this.step(lane, w);
      if (lane.isEmpty) lane.ready = false;
      else this.ready.push(lane);
    }
    this.compact();
    return frames;
  }

  private compact(): void {
    if (this.head === this.ready.length) {
      this.ready.length = this.head = 0;
    } else if (this.head >= 256 && this.head * 2 > this.ready.length) {
      this.ready.splice(0, this.head);
      this.head = 0;
    }
  }

  /** step takes of one lane as many whole frames as fit, at least one, unless it has to wait with a long one. */
  private step(lane: Lane, w: Writer): number {
    const from = w.pos;
    let frames = 0;
    if (lane.large !== undefined) {
      this.takePart(lane, lane.large, w);
      frames++;
      if (lane.large !== undefined) return frames;
    }
    while (lane.head < lane.queue.length) {
      const m = lane.queue[lane.head]!;
      const hint = sizeHint(m);
      const at = w.pos;
      if (hint > MAX_STEP && (at > from || this.large !== undefined)) break;
      encodeFrame(w, m);
      const isLarge = w.pos - at - HEADER > MAX_STEP;
      if (isLarge ? at > from || this.large !== undefined : at > from && w.pos - from > MAX_STEP + HEADER) {
        w.pos = at;
        break;
      }
      lane.shift();
      this.bytes -= hint;
      frames++;
      if (isLarge) {
        this.begin(lane, w, at);
        break;
      }
    }
    return frames;
  }

  /** begin takes back the frame that was just written, and writes the first of its Parts instead. */
  private begin(lane: Lane, w: Writer, at: number): void {
    const frame = new Uint8Array(w.buf.subarray(at + HEADER, w.pos));
    w.pos = at;
    lane.large = { frame, at: 0 };
    this.large = lane;
    this.bytes += frame.length;
    this.takePart(lane, lane.large, w);
  }

  private takePart(lane: Lane, large: { readonly frame: Uint8Array; at: number }, w: Writer): void {
    const data = large.frame.subarray(large.at, large.at + MAX_DATA);
    large.at += data.length;
    this.bytes -= data.length;
    const last = large.at === large.frame.length;
    if (last) lane.large = this.large = undefined;
    encodeFrame(w, { kind: "part", actor: lane.actor, data, last });
  }
}
