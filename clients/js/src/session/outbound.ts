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

/** Outbound is what waits to be written, in the order in which it is: link frames, frames that go again, an Ack, control frames, calls. */
export class Outbound {
  private readonly session: Session;
  /** What is not counted; for the present socket only. */
  private link: Draft[] = [];
  /** Channels with frames that an earlier socket was given and the gateway did not get. */
  again: Channel[] = [];
  readonly control: { readonly channel: Channel; readonly message: Draft }[] = [];
  /** Frames that were encoded and not packed. */
  private pending: Encoded[] = [];
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
    this.pending = [];
    this.replies = 0;
    this.ended = false;
  }

  /** clear begins with a new session. */
  clear(): void {
    this.again = [];
    this.control.length = 0;
  }

  /** drop forgets what is about a channel that has ended. */
  drop(channel: Channel): void {
    const rest = this.control.filter((one) => one.channel !== channel);
    this.control.splice(0, this.control.length, ...rest);
  }

  /** say queues a message that is not counted. */
  say(message: Draft): void {
    this.link.push(message);
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
    const hello = this.link.find((one) => one.kind === "hello"); // which comes before everything
    this.link = [...(hello ? [hello] : []), { kind: "goodbye", code, message }];
  }

  /** take is what to write next as one WebSocket message; undefined: nothing. Calls in it count as written. */
  take(): Encoded | undefined {
    if (this.pending.length === 0) this.fill();
    return this.pending.length === 0 ? undefined : this.session.codec.pack(this.pending, this.batchLimit);
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
    for (const frame of this.frames()) {
      this.pending.push(frame);
      left -= frame.length;
      if (left <= 0) return;
    }
  }

  private *frames(): Generator<Encoded> {
    const { session } = this;
    const { channels, codec } = session;
    for (let message = this.link.shift(); message !== undefined; message = this.link.shift()) {
      this.ended ||= message.kind === "goodbye";
      yield codec.encode(message);
    }
    if (this.ended || session.phase !== "ready") return;
    yield* this.goAgain();
    if (!session.left && (channels.ackNow || (channels.ackAlong && this.hasWork()))) yield codec.encode(channels.takeAck());
    for (let next = this.control.shift(); next !== undefined; next = this.control.shift()) {
      const encoded = codec.encode(next.message);
      channels.keep(next.channel, { message: next.message, weight: encoded.length + overheadBytes });
      yield encoded;
    }
    this.replies = 0;
    yield* this.calls();
  }

  private hasWork(): boolean {
    return this.control.length > 0 || this.session.anyQueued();
  }

  /** goAgain is what an earlier socket was given and the gateway did not get [SESS-15]. */
  private *goAgain(): Generator<Encoded> {
    const { channels, codec } = this.session;
    for (let channel = this.again[0]; channel !== undefined; channel = this.again[0]) {
      const kept = channel.kept.at(channel.given);
      if (kept === undefined) {
        this.again.shift();
      } else if (kept.call?.state === "done") {
        channels.removeAt(channel, channel.given); // nobody waits for it, and nobody has got it
      } else {
        channel.given++;
        yield codec.encode(kept.call?.message() ?? (kept.message as Draft));
      }
    }
  }

  private *calls(): Generator<Encoded> {
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
      yield encoded;
    }
  }

  /** hasRoom keeps us below the number of unanswered calls that the gateway takes, and below what we keep for it. */
  private hasRoom(): boolean {
    const { limits, unanswered, channels, settings } = this.session;
    const most = limits?.maxCalls ?? 0;
    return (most === 0 || unanswered.size < most) && channels.excessBytes <= settings.maxQueuedBytes / 2;
  }
}
