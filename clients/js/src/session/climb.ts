import { raise } from "../error.ts";
import { after } from "../timer.ts";
import type { Carrier } from "./carrier.ts";
import type { Dialed, Dialer } from "./dialer.ts";
import type { Line } from "./line.ts";
import { barredMs, noteFailure } from "./memory.ts";
import type { Session } from "./session.ts";

/** idlePollMs is how often to look whether a session that cannot be resumed may be left. */
const idlePollMs = 1000;

/**
 * Climb has a session that goes by a lesser transport try the better one from time to time, and go on there; and has one by
 * which nothing gets through go on by a lesser one.
 */
export class Climb {
  private readonly session: Session;
  private readonly dialer: Dialer;
  private readonly signal: AbortSignal;
  /** What to go on with. */
  private next: Line | undefined;

  /** signal ends all that is under way. */
  constructor(session: Session, dialer: Dialer, signal: AbortSignal) {
    this.session = session;
    this.dialer = dialer;
    this.signal = signal;
  }

  /** take is the socket that the last one was left for. */
  take(): Dialed | undefined {
    const line = this.next;
    this.next = undefined;
    return line && { line };
  }

  /** drop closes that socket: nobody needs it any more. */
  drop(): void {
    this.take()?.line.socket.close();
  }

  /** from sees to a carrier for as long as it lives. late: a better line that is on its way already. */
  async from(carrier: Carrier, base: string, late: Promise<Line | undefined> | undefined): Promise<void> {
    let over = false;
    const end = carrier.over.then(() => {
      over = true;
    });
    await Promise.race([carrier.ready, end]);
    let line = await late;
    for (;;) {
      if (line !== undefined && !over && this.mayMove(carrier)) {
        this.next = line;
        return carrier.leave();
      }
      line?.socket.close();
      if (over || !this.mayClimb(carrier, base)) return;
      line = await this.better(carrier, base, end);
    }
  }

  /** down leaves a carrier on which nothing comes for another transport, if one opens before anything comes. */
  async down(carrier: Carrier, base: string): Promise<void> {
    const line = await this.dialer.descend(base, this.signal);
    if (!carrier.isStalled) return line?.socket.close();
    if (line === undefined || !this.session.resumable) {
      line?.socket.close();
      return carrier.silent(raise("session.ping_timed_out"));
    }
    this.session.log("warn", "nothing comes any more, another transport is taken", { transport: carrier.transport });
    noteFailure(base, carrier.transport);
    this.next = line;
    carrier.leave();
  }

  /** better is a line of a better transport, when it is time to try; undefined: it failed, or there is none. */
  private async better(carrier: Carrier, base: string, end: Promise<void>): Promise<Line | undefined> {
    const up = this.dialer.climbsTo(carrier.transport, base);
    if (up === undefined) return undefined;
    await pause(Math.max(up.inMs, idlePollMs), end);
    if (this.signal.aborted || barredMs(base, up.transport) > 0 || !this.mayMove(carrier)) return undefined;
    return this.dialer.climb(up.transport, base, this.signal);
  }

  private mayClimb(carrier: Carrier, base: string): boolean {
    return this.dialer.climbsTo(carrier.transport, base) !== undefined && (this.session.resumable || carrier.transport === "sse");
  }

  /** Nothing is lost where the session goes on; where it does not, nothing may be under way. */
  private mayMove(carrier: Carrier): boolean {
    if (this.session.phase !== "ready") return false;
    return this.session.resumable || (carrier.transport === "sse" && this.session.unanswered.size === 0);
  }
}

/** pause waits, at most until something else; it keeps no process alive. */
async function pause(ms: number, end: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const waited = new Promise<void>((resolve) => {
    timer = after(ms, resolve);
    (timer as { unref?: () => void }).unref?.();
  });
  await Promise.race([waited, end]);
  clearTimeout(timer);
}
