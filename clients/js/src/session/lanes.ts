import type { ConnectionResumed, Received } from "../wire/messages.ts";
import type { Channel } from "./channel.ts";
import type { Session } from "./session.ts";

/** mostLost is how many lanes in a row a channel may lose before anything gets through: what is sent again may be what costs them. */
const mostLost = 4;

/** Lanes sees to the streams of connections, on sockets where each connection has its own [SESS-19] [SESS-20]. */
export class Lanes {
  /** The present socket has them. */
  on = false;
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** resume gets lanes for the channels that the gateway has, and is those that need no ConnectionResume. */
  resume(again: readonly Channel[], received: readonly Received[]): Channel[] {
    if (!this.on) return [...again];
    const known = new Set(received.map(({ connection }) => connection));
    known.delete(0);
    for (const channel of [...this.session.channels.all()]) if (known.has(channel.number) && !channel.ended) this.rejoin(channel);
    return again.filter((channel) => !channel.rejoining);
  }

  /** lost: the lane is gone. true: the channel goes on with another, or is given up. */
  lost(number: number, reason: string): boolean {
    const { session } = this;
    const channel = session.channels.find(number);
    if (channel === undefined || channel.ended) return false;
    session.log("info", "stream lost", { connection: number, error: reason });
    session.outbound.dropLane(channel);
    channel.lanesLost++;
    if (!session.channels.keeping || channel.lanesLost > mostLost) session.connections.onLost(channel);
    else if (channel.acked === 0 && channel.received === 0 && channel.lanesLost % 2 === 0) this.openAgain(channel);
    else this.rejoin(channel);
    session.stir();
    return true;
  }

  /** onResumed: the gateway goes on with a channel on its new lane. */
  onResumed({ connection, frames }: ConnectionResumed): void {
    const { session } = this;
    const channel = session.channels.find(connection);
    if (channel?.rejoining !== true) return session.log("error", "the gateway resumed a connection unasked", { connection });
    if (session.channels.rejoin(channel, frames)) session.outbound.again.push(channel);
    session.stir();
  }

  private rejoin(channel: Channel): void {
    const { channels, outbound } = this.session;
    channel.rejoining = true;
    channel.given = 0;
    outbound.say({ kind: "connectionResume", ...channels.claimOne(channel) }, channel.number);
  }

  /** openAgain: by turns, since the gateway may not have got ConnectionOpen and then knows of no connection to resume. */
  private openAgain(channel: Channel): void {
    channel.rejoining = false;
    channel.given = 0;
    this.session.outbound.again.push(channel);
  }
}
