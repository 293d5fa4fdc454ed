import { raise, messageOf } from "../error.ts";
import type { ActorError } from "../error.ts";
import { after } from "../timer.ts";
import type { Call } from "./call.ts";
import { now } from "./call.ts";
import type { Session } from "./session.ts";

/** Waiting ends the calls without deadline of their own that have waited for waitTimeoutMs, and a session that nobody resumed. */
export class Waiting {
  private readonly session: Session;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private dueAt = Number.POSITIVE_INFINITY;

  constructor(session: Session) {
    this.session = session;
  }

  /** watch has a look in time. */
  watch(): void {
    if (this.session.closed) return;
    const ms = Math.min(this.session.settings.waitTimeoutMs, this.session.lapse() ?? Number.POSITIVE_INFINITY);
    if (now() + ms < this.dueAt) this.plan(ms);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.dueAt = Number.POSITIVE_INFINITY;
  }

  private plan(ms: number): void {
    clearTimeout(this.timer);
    this.dueAt = now() + ms;
    this.timer = after(Math.ceil(ms) + 1, () => {
      this.dueAt = Number.POSITIVE_INFINITY;
      const next = this.expire();
      if (next !== undefined) this.plan(next);
    });
    (this.timer as { unref?: () => void }).unref?.(); // sockets and pauses keep a process alive that waits
  }

  /** expire is in how many milliseconds to look again; undefined: nothing waits. */
  private expire(): number | undefined {
    const { session } = this;
    let next = session.lapse();
    const least = (ms: number | undefined) => {
      if (ms !== undefined && (next === undefined || ms < next)) next = ms;
    };
    if (session.phase !== "ready") least(this.expireIn(session.queue, () => this.unreachable()));
    for (const conn of [...session.connections.attached]) {
      least(this.expireIn(conn.held, () => (session.phase === "ready" && conn.fault) || this.unreachable()));
    }
    return next;
  }

  /** expireIn looks through one queue, whose order is that of age. */
  private expireIn(queue: Iterable<Call>, why: () => ActorError): number | undefined {
    const { session } = this;
    for (const call of queue) {
      if (call.state !== "queued" || call.deadline !== undefined) continue;
      const since = Math.max(call.since, session.downSince); // it waited with the session, not for one
      const left = since + session.settings.waitTimeoutMs - now();
      if (left > 0) return left;
      session.dequeue(call, why());
    }
    return undefined;
  }

  private unreachable(): ActorError {
    const { lastFault, phase } = this.session;
    if (phase === "ready") return raise("client.unreachable", "The connection did not open in time.");
    if (lastFault === undefined) return raise("client.unreachable");
    return raise("client.unreachable", `The gateway cannot be reached: ${messageOf(lastFault)}`, { cause: lastFault });
  }
}
