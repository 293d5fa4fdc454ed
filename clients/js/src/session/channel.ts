// The counting, keeping and acknowledging of frames by which a session outlives its socket [SESS-12] to [SESS-17].

import type { Draft, Received } from "../wire/messages.ts";
import { overheadBytes } from "./call.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { Fifo } from "./fifo.ts";

/** When the frames of a channel are acknowledged [SESS-14]: a write that goes anyway takes an Ack along from half of it on. */
const ackFrames = 64;
const ackBytes = 256 << 10;
/** The most that a gateway may leave unacknowledged on an idle channel, as Channels.keptBytes counts. */
const idleKeptBytes = ackBytes + ackFrames * overheadBytes;

/** CountsError: the two sides do not agree on what was sent; the session cannot go on. */
export class CountsError extends Error {
  constructor() {
    super("the gateway counts frames that were not sent");
  }
}

/** Kept is a frame that was written and not acknowledged: a call, which is written anew, or another message. */
export interface Kept {
  readonly call: Call | undefined;
  readonly message: Draft | undefined;
  readonly weight: number;
}

/** Channel is a connection's part of the session, or, with number 0, what is about none [SESS-12]. */
export class Channel {
  readonly number: number;
  /** undefined: number 0, or the connection has left it. */
  conn: Connection | undefined;
  /** The gateway's last frame on it has come. */
  ended = false;

  readonly kept = new Fifo<Kept>();
  /** Frames that were written before those in kept. */
  acked = 0;
  /** Of kept: those that the present lane was given; the rest goes again. */
  given = 0;
  /** Its lane was lost, and the gateway has not said what it lacks: nothing is given to the new one [SESS-20]. */
  rejoining = false;
  /** How often in a row it lost its lane before anything got through. */
  lanesLost = 0;

  /** Counted frames that came; of these, acknowledged; bytes of the others. */
  received = 0;
  told = 0;
  freshBytes = 0;

  constructor(number: number, conn?: Connection) {
    this.number = number;
    this.conn = conn;
  }
}

/** Owner is told what becomes of the calls of channels. */
export interface Owner {
  /** strandCall ends a call that never reached the gateway, and whose channel has ended. */
  strandCall(call: Call): void;
}

/** Channels is all channels of a session. */
export class Channels {
  zero = new Channel(0);
  /** It can be resumed, or that is not known yet: frames are counted and kept. */
  keeping = true;
  /** Weight of all that is kept. */
  keptBytes = 0;
  /** An Ack is due; an Ack is worth taking along. */
  ackNow = false;
  ackAlong = false;

  private readonly byNumber = new Map<number, Channel>();
  /** Channels of which frames came that were not acknowledged. */
  private readonly news = new Set<Channel>();

  get size(): number {
    return this.byNumber.size;
  }

  open(number: number, conn: Connection): Channel {
    const channel = new Channel(number, conn);
    this.byNumber.set(number, channel);
    return channel;
  }

  /** find is a channel by its number; undefined: there is none any more. */
  find(number: number): Channel | undefined {
    return number === 0 ? this.zero : this.byNumber.get(number);
  }

  /** inbound is the channel that a frame about the connection came on: after its end all comes on channel 0 [SESS-12]. */
  inbound(connection: number): Channel {
    const channel = this.find(connection);
    return channel === undefined || channel.ended ? this.zero : channel;
  }

  /** all is every channel, ascending: numbers grow. */
  *all(): Generator<Channel> {
    yield this.zero;
    yield* this.byNumber.values();
  }

  /** count takes note of a frame that came, and of when it has to be acknowledged. */
  count(channel: Channel, size: number): void {
    if (!this.keeping) return;
    channel.received++;
    channel.freshBytes += size;
    this.news.add(channel);
    const frames = channel.received - channel.told;
    if (frames >= ackFrames || channel.freshBytes >= ackBytes) this.ackNow = true;
    else if (frames >= ackFrames / 2 || channel.freshBytes >= ackBytes / 2) this.ackAlong = true;
  }

  /** ackSoon has channel 0 named in an Ack that is due. */
  ackSoon(): void {
    this.news.add(this.zero);
    this.ackNow = true;
  }

  /** takeAck is the Ack of all that has come. */
  takeAck(): Draft {
    const received = [...this.news].map((channel) => this.tell(channel));
    this.news.clear();
    this.ackNow = this.ackAlong = false;
    return { kind: "ack", received };
  }

  private tell(channel: Channel): Received {
    channel.told = channel.received;
    channel.freshBytes = 0;
    return { connection: channel.number, frames: channel.received };
  }

  /** claim lists what has come on every channel, to go on with the session. */
  claim(): Received[] {
    this.news.clear();
    this.ackNow = this.ackAlong = false;
    return [...this.all()].map((channel) => this.tell(channel));
  }

  /** onAck: the gateway has received so much. */
  onAck(received: readonly Received[]): void {
    for (const { connection, frames } of received) {
      const channel = this.find(connection);
      if (channel === undefined) continue; // forgotten
      const most = channel.rejoining ? channel.kept.length : channel.given; // what an earlier lane was given can have arrived
      if (frames > channel.acked + most) throw new CountsError();
      this.release(channel, frames);
      this.forget(channel);
    }
  }

  /** keep keeps a frame that is written on the channel, or will be when it has a lane again. */
  keep(channel: Channel, frame: { readonly call?: Call; readonly message?: Draft; readonly weight: number }): void {
    if (!this.keeping) return;
    channel.kept.push({ call: frame.call, message: frame.message, weight: frame.weight });
    if (!channel.rejoining) channel.given++;
    this.keptBytes += frame.weight;
    if (frame.call !== undefined) frame.call.kept = true;
  }

  /** release drops what the gateway has received: so many frames of the channel. */
  release(channel: Channel, received: number): void {
    while (channel.acked < received && channel.kept.length > 0) {
      this.drop(channel.kept.shift() as Kept);
      channel.acked++;
      if (channel.given > 0) channel.given--;
    }
  }

  /** answered: an answer says that the gateway has received the call, and what was sent before it. */
  answered(call: Call): void {
    const { channel } = call;
    while (channel !== undefined && call.kept && channel.given > 0) this.release(channel, channel.acked + 1);
  }

  /** arrived is answered for what is looked for among what was written: another message, or a call that nobody waits for. */
  arrived(channel: Channel, is: (frame: Kept) => boolean): void {
    for (let i = 0; i < channel.given; i++) {
      if (is(channel.kept.at(i) as Kept)) return this.release(channel, channel.acked + i + 1);
    }
  }

  /** removeAt drops a kept frame that nobody needs any more and the gateway never got. */
  removeAt(channel: Channel, index: number): void {
    this.drop(channel.kept.at(index) as Kept);
    channel.kept.removeAt(index);
  }

  private drop(frame: Kept): void {
    this.keptBytes -= frame.weight;
    if (frame.call !== undefined) frame.call.kept = false;
  }

  /** dropKept drops all that the channel keeps. */
  dropKept(channel: Channel): void {
    for (const frame of channel.kept.take()) this.drop(frame);
    channel.given = 0;
  }

  /** strand ends the calls of a channel that has ended which never reached the gateway: nothing may be sent on it any more. */
  strand(channel: Channel, owner: Owner): void {
    while (channel.kept.length > channel.given) {
      const frame = channel.kept.at(channel.given) as Kept;
      this.removeAt(channel, channel.given);
      if (frame.call?.state === "written") owner.strandCall(frame.call);
    }
  }

  /** forget drops a channel that has ended, once all that was sent on it has arrived [SESS-14]. */
  forget(channel: Channel): void {
    if (channel.ended && channel.kept.length === 0) this.byNumber.delete(channel.number);
  }

  /** remove drops a channel that the gateway never had. */
  remove(channel: Channel): void {
    this.dropKept(channel);
    this.byNumber.delete(channel.number);
  }

  /**
   * reconcile brings what is kept to what the gateway has received, and is the channels of which frames go again [SESS-15].
   * lost is told channels that the gateway has forgotten: it can have got everything or not.
   */
  reconcile(received: readonly Received[], owner: Owner & { lost(channel: Channel): void }): Channel[] {
    const theirs = new Map(received.map(({ connection, frames }) => [connection, frames]));
    const again: Channel[] = [];
    for (const channel of [...this.all()]) {
      const frames = theirs.get(channel.number);
      channel.rejoining = false;
      channel.lanesLost = 0;
      if (frames === undefined && channel.ended) owner.lost(channel);
      else if ((frames ?? 0) < channel.acked || (frames ?? 0) > channel.acked + channel.kept.length) throw new CountsError();
      else this.release(channel, frames ?? 0);
      channel.given = 0;
      if (channel.ended) {
        this.strand(channel, owner);
        this.forget(channel);
      } else if (channel.kept.length > 0) {
        again.push(channel);
      }
    }
    return again;
  }

  /** rejoin: the gateway has so many frames of a channel whose lane is new; true: others go again [SESS-20]. */
  rejoin(channel: Channel, frames: number): boolean {
    if (frames < channel.acked || frames > channel.acked + channel.kept.length) throw new CountsError();
    if (frames > channel.acked) channel.lanesLost = 0;
    this.release(channel, frames);
    channel.rejoining = false;
    channel.given = 0;
    return channel.kept.length > 0;
  }

  /** claimOne is claim for one channel, by which it gets a lane again. */
  claimOne(channel: Channel): Received {
    this.news.delete(channel);
    return this.tell(channel);
  }

  /** stopKeeping: the session cannot be resumed. */
  stopKeeping(): void {
    this.keeping = false;
    for (const channel of this.all()) this.dropKept(channel);
    this.news.clear();
    this.ackNow = this.ackAlong = false;
  }

  /** clear begins anew, with another session. */
  clear(): void {
    this.stopKeeping();
    this.keeping = true;
    this.byNumber.clear();
    this.zero = new Channel(0);
  }

  /**
   * excessBytes is what is kept beyond what a gateway may leave unacknowledged while nothing more comes. Therefore waiting for
   * it to shrink never lasts for ever.
   */
  get excessBytes(): number {
    return Math.max(0, this.keptBytes - (this.byNumber.size + 1) * idleKeptBytes);
  }
}
