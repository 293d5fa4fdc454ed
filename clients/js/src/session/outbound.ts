import type { Encoded } from "../wire/codec.ts";
import type { Draft } from "../wire/messages.ts";
import { overheadBytes } from "./call.ts";
import type { Call } from "./call.ts";
import type { Channel } from "./channel.ts";
import { limitError } from "./limits.ts";
import type { Session } from "./session.ts";

/** batchBytes is about how much goes in one write; only a single longer frame makes it more. */
const batchBytes = 64 << 10;

/** maxReplies bounds what the gateway can make us queue while it does not read. */
const maxReplies = 1024;

/** Written is what to write next: on a lane, or the end of it. */
export interface Written {
  readonly lane: number;
  /** undefined: the lane is finished. */
  readonly data: Encoded | undefined;
}

/**
 * Outbound is what waits to be written, in the order in which it is: link frames, frames that go again, an Ack, control frames,
 * calls. On a socket with lanes each goes on that of its channel.
 */
export class Outbound {
  private readonly session: Session;
  /** What is not counted; for the present socket only. */
  private link: { readonly lane: number; readonly message: Draft }[] = [];
  /** Channels with frames that an earlier socket or lane was given and the gateway did not get. */
  again: Channel[] = [];
  readonly control: { readonly channel: Channel; readonly message: Draft }[] = [];
  /** Frames that were encoded and not packed, by lane; without lanes all are in that of 0. */
  private readonly pending = new Map<number, Encoded[]>();
  /** Lanes to be finished. */
  private readonly ends = new Set<number>();
  private replies = 0;
  /** A Goodbye was written: nothing may follow. */
  private ended = false;

  constructor(session: Session) {
    this.session = session;
  }

  /** reset begins with a new socket. */
  reset(): void {
    this.link = [];
    this.again = [];
    this.pending.clear();
    this.ends.clear();
    this.replies = 0;
    this.ended = false;
  }

  /** clear begins with a new session. */
  clear(): void {
    this.again = [];
    this.control.length = 0;
  }

  /** drop forgets what is about a channel that has ended; its lane is finished behind what was encoded. */
  drop(channel: Channel): void {
    const rest = this.control.filter((one) => one.channel !== channel);
    this.control.splice(0, this.control.length, ...rest);
    if (this.session.lanes.on) this.ends.add(channel.number);
  }

  /** dropLane forgets what was meant for a lane that is gone. */
  dropLane(channel: Channel): void {
    this.link = this.link.filter(({ lane }) => lane !== channel.number);
    this.again = this.again.filter((one) => one !== channel);
    this.pending.delete(channel.number);
  }

  /** say queues a message that is not counted. */
  say(message: Draft, lane = 0): void {
    this.link.push({ lane, message });
  }

  /** reply counts what the gateway makes us say while it does not read, or does not acknowledge. */
  reply(): void {
    this.replies++;
    if (this.replies > maxReplies || this.session.channels.excessBytes > this.session.settings.maxQueuedBytes) {
      throw new Error("the gateway asks without reading the answers");
    }
    this.session.stir();
  }

  /** bid queues a Goodbye as the last frame of the socket. */
  bid(code: string, message: string): void {
    const hello = this.link.filter((one) => one.message.kind === "hello"); // which comes before everything
    this.link = [...hello, { lane: 0, message: { kind: "goodbye", code, message } }];
  }

  /** take is what to write next in one go; undefined: nothing. Calls in it count as written. */
  take(): Written | undefined {
    if (this.pending.size === 0) this.fill();
    for (const lane of this.ends) {
      if (this.pending.has(lane)) continue;
      this.ends.delete(lane);
      return { lane, data: undefined };
    }
    for (const [lane, frames] of this.pending) {
      const data = this.session.codec.pack(frames, this.batchLimit);
      if (frames.length === 0) this.pending.delete(lane);
      return { lane, data };
    }
    return undefined;
  }

  private get batchLimit(): number {
    const most = this.session.limits?.maxMessage ?? 0;
    return most > 0 ? Math.min(most, batchBytes) : batchBytes;
  }

  /** fill encodes about as much as one write takes. */
  private fill(): void {
    const { session } = this;
    if (this.ended || session.phase === "down") return;
    let left = batchBytes;
    for (const length of this.frames()) {
      left -= length;
      if (left <= 0) return;
    }
  }

  /** put has a frame written, and is its length. */
  private put(lane: number, frame: Encoded): number {
    const key = this.session.lanes.on ? lane : 0;
    const frames = this.pending.get(key);
    if (frames === undefined) this.pending.set(key, [frame]);
    else frames.push(frame);
    return frame.length;
  }

  /** frames encodes one after the other, and yields their lengths. */
  private *frames(): Generator<number> {
    const { session } = this;
    const { channels, codec } = session;
    for (let next = this.link.shift(); next !== undefined; next = this.link.shift()) {
      this.ended ||= next.message.kind === "goodbye";
      yield this.put(next.lane, codec.encode(next.message));
    }
    if (this.ended || session.phase !== "ready") return;
    yield* this.goAgain();
    if (!session.left && (channels.ackNow || (channels.ackAlong && this.hasWork()))) yield this.put(0, codec.encode(channels.takeAck()));
    for (let next = this.control.shift(); next !== undefined; next = this.control.shift()) {
      const { channel, message } = next;
      const encoded = codec.encode(message);
      channels.keep(channel, { message, weight: encoded.length + overheadBytes });
      if (!channel.rejoining) yield this.put(channel.number, encoded); // else it goes again
    }
    this.replies = 0;
    yield* this.calls();
  }

  private hasWork(): boolean {
    return this.control.length > 0 || this.session.anyQueued();
  }

  /** goAgain is what an earlier socket or lane was given and the gateway did not get [SESS-15]. */
  private *goAgain(): Generator<number> {
    const { channels, codec } = this.session;
    for (let channel = this.again[0]; channel !== undefined; channel = this.again[0]) {
      const kept = channel.kept.at(channel.given);
      if (kept === undefined) {
        this.again.shift();
      } else if (kept.call?.state === "done") {
        channels.removeAt(channel, channel.given); // nobody waits for it, and nobody has got it
      } else {
        channel.given++;
        yield this.put(channel.number, codec.encode(kept.call?.message() ?? (kept.message as Draft)));
      }
    }
  }

  private *calls(): Generator<number> {
    const { session } = this;
    while (session.anyQueued() && this.hasRoom()) {
      const call = session.queue.shift() as Call;
      call.channel = call.conn?.channel ?? session.channels.zero;
      call.id = session.nextId();
      const encoded = session.codec.encode(call.message());
      const error =
        limitError("max_args", call.args?.length ?? 0, session.limits?.maxArgs) ??
        limitError("max_input", call.conn ? 0 : (call.target.input?.length ?? 0), session.limits?.maxInput) ??
        limitError("max_message", encoded.length, session.limits?.maxMessage);
      if (error !== undefined) {
        session.complete(call, error);
        continue;
      }
      session.channels.keep(call.channel, { call, weight: call.weight });
      session.queuedBytes -= call.weight;
      call.state = "written";
      session.unanswered.set(call.id, call);
      if (!call.channel.rejoining) yield this.put(call.channel.number, encoded);
    }
  }

  /** hasRoom keeps us below the number of unanswered calls that the gateway takes, and below what we keep for it. */
  private hasRoom(): boolean {
    const { limits, unanswered, channels, settings } = this.session;
    const most = limits?.maxCalls ?? 0;
    return (most === 0 || unanswered.size < most) && channels.excessBytes <= settings.maxQueuedBytes / 2;
  }
}
