// One side of a link above its sockets: the numbers of frames, acknowledgements, and what is kept for a socket that may break.
import { encodeFrame, type RunnerMessage } from "../wire/encode.ts";
import { malformed, WireFault } from "../wire/fault.ts";
import { HEADER, MAX_STEP } from "../wire/frame.ts";
import type { Ack, Resumed } from "../wire/messages.ts";
import type { Writer } from "../wire/writer.ts";
import { Kept } from "./kept.ts";
import { Outbox, type Lane } from "./outbox.ts";

// When an acknowledgement is sent [LINK-14].
const ACK_FRAMES = 64;
const ACK_BYTES = 256 << 10;
const ACK_DELAY_MS = 50;
// A write that goes anyway takes one along from here on.
const ALONG_FRAMES = ACK_FRAMES / 4;
const ALONG_BYTES = ACK_BYTES / 4;

/** The most that is taken of one lane at a time. */
const STEP = MAX_STEP + HEADER;

/**
 * LinkState outlives sockets: it is attached to one after another, and what was written and not acknowledged is written again,
 * so that each actor's frames come in order and exactly once. It does no I/O and has no clock: times are milliseconds of any
 * steady one. When the socket ends: detach. When there is another: received goes into Hello, attach takes what Welcome says.
 */
export class LinkState {
  private readonly outbox = new Outbox();
  /** Link frames that are due: the first number of this socket, and the newest Ping [LINK-8] [LINK-16]. */
  private resumedNext: number | undefined;
  private pinged: bigint | undefined;
  /** What may be kept; 0: the session cannot be resumed, and nothing is counted. */
  private readonly maxUnacked: number;
  private detached = false;
  /** The peer's Resumed is still to come. */
  private awaiting = false;

  private sent = 0;
  /** Of these, written on this socket or received from an earlier one. */
  private written = 0;
  private acked = 0;
  private readonly kept = new Kept();

  private got = 0;
  /** Of these, acknowledged on this socket or at its beginning. */
  private told = 0;
  /** Bytes of the frames that came since, and when the first did. */
  private fresh = 0;
  private firstFreshMs = 0;

  /** maxUnacked: 0 without the feature resume, else the limit of Welcome [LINK-15]. */
  constructor(maxUnacked: number) {
    this.maxUnacked = maxUnacked === 0 ? 0 : Math.max(maxUnacked, STEP);
  }

  /** received is how many counted frames have come. */
  get received(): number {
    return this.got;
  }

  /** queued is about how many bytes were never written. */
  get queued(): number {
    return this.outbox.queued;
  }

  /** push queues a counted frame. */
  push(lane: Lane, m: RunnerMessage): void {
    this.outbox.push(lane, m);
  }

  /** pong queues the answer to a Ping, which overtakes everything and is lost with the socket. */
  pong(nonce: bigint): void {
    this.pinged = nonce;
  }

  /** take appends what is to be written next, about limit bytes. It counts as written. */
  take(w: Writer, limit: number, nowMs: number): void {
    if (this.detached) return;
    const start = w.pos;
    this.takeUrgent(w);
    if (!this.kept.isWritten) this.takeKept(w, start + limit);
    if (this.kept.isWritten) this.takeNew(w, start + limit);
    if (!this.isAckDue(nowMs, w.pos > start)) return;
    this.told = this.got;
    this.fresh = 0;
    encodeFrame(w, { kind: "ack", received: this.got });
  }

  private takeUrgent(w: Writer): void {
    if (this.resumedNext !== undefined) encodeFrame(w, { kind: "resumed", next: this.resumedNext });
    if (this.pinged !== undefined) encodeFrame(w, { kind: "pong", nonce: this.pinged, leaseMs: 0, nowMs: 0 });
    this.resumedNext = this.pinged = undefined;
  }

  private takeKept(w: Writer, end: number): void {
    if (w.pos >= end) return;
    const { bytes, frames } = this.kept.next(end - w.pos);
    w.raw(bytes);
    this.written += frames;
  }

  private takeNew(w: Writer, end: number): void {
    let room = end - w.pos;
    // The outbox goes on while it has given less.
    if (this.maxUnacked > 0) room = Math.min(room, this.maxUnacked - this.kept.size - STEP + 1);
    if (room <= 0) return;
    const from = w.pos;
    this.sent += this.outbox.take(w, room);
    this.written = this.sent;
    if (this.maxUnacked > 0) this.kept.add(w.view(from));
  }

  /** count takes note of a counted frame of that length that has come on the present socket. */
  count(size: number, nowMs: number): void {
    if (this.maxUnacked === 0) return;
    if (this.awaiting) throw new WireFault("lost", "a counted frame came before Resumed");
    if (this.got === this.told) {
      this.fresh = 0;
      this.firstFreshMs = nowMs;
    }
    this.got++;
    this.fresh += size;
  }

  /** acknowledge takes the peer's Ack. */
  acknowledge(m: Ack): void {
    if (m.received > this.written) {
      throw new WireFault("lost", `the peer acknowledges frame ${m.received} of ${this.written}`);
    }
    this.forget(m.received);
  }

  /** resumed takes the peer's first frame on another socket. */
  resumed(m: Resumed): void {
    if (!this.awaiting || m.next !== this.got + 1) {
      throw new WireFault("lost", `the peer goes on with frame ${m.next}, ${this.got} have come`);
    }
    this.awaiting = false;
  }

  private forget(received: number): void {
    if (received <= this.acked) return;
    this.kept.drop(received - this.acked);
    this.acked = received;
  }

  /** ackInMs is in how many milliseconds take will have an acknowledgement to write; undefined: there is none. */
  ackInMs(nowMs: number): number | undefined {
    if (this.maxUnacked === 0 || this.detached || this.got === this.told) return undefined;
    return this.isOverdue() ? 0 : Math.max(0, this.firstFreshMs + ACK_DELAY_MS - nowMs);
  }

  private isOverdue(): boolean {
    return this.got - this.told >= ACK_FRAMES || this.fresh >= ACK_BYTES;
  }

  private isAckDue(nowMs: number, along: boolean): boolean {
    if (this.maxUnacked === 0 || this.got === this.told) return false;
    if (this.isOverdue() || nowMs - this.firstFreshMs >= ACK_DELAY_MS) return true;
    return along && (this.got - this.told >= ALONG_FRAMES || this.fresh >= ALONG_BYTES);
  }

  /** detach takes the socket away. What it had queued of link frames is gone. */
  detach(): void {
    this.detached = true;
    this.resumedNext = this.pinged = undefined;
  }

  /** attach goes on with a new socket, whose peer has received that many counted frames [LINK-16]. */
  attach(peerReceived: number): void {
    if (this.maxUnacked === 0) throw malformed("a session resumed that cannot be");
    if (peerReceived < this.acked || peerReceived > this.sent) {
      const { acked, sent } = this;
      throw new WireFault("lost", `the peer has received ${peerReceived} frames, it acknowledged ${acked} of ${sent}`);
    }
    this.forget(peerReceived);
    this.kept.rewind();
    this.written = peerReceived;
    this.detached = false;
    this.awaiting = true;
    this.told = this.got;
    this.fresh = 0;
    this.resumedNext = peerReceived + 1;
    this.pinged = undefined;
  }
}
