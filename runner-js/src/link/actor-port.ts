import type { ActorOutMessage } from "../wire/messages.ts";
import { Allowance, type Waiter } from "./credit.ts";
import { Lane } from "./outbox.ts";
import type { Port, Seat } from "./port.ts";
import type { Session } from "./session.ts";

/** ActorPort is the place of one incarnation in one session. */
export class ActorPort implements Port, Waiter {
  readonly ref: number;
  readonly session: Session;
  /** Set once the host has given it. */
  seat: Seat | undefined;
  /** The actor has given its place back, or the session is over. */
  isClosed = false;
  /** Called when the actor ends that waits for another session. */
  onClose: (() => void) | undefined;
  private readonly lane: Lane;
  private readonly allowance = new Allowance();
  /** Waits for room in the queue. */
  private crowded = false;

  constructor(session: Session, ref: number) {
    this.session = session;
    this.ref = ref;
    this.lane = new Lane(ref);
    this.allowance.raise(session.eventWindow);
  }

  send(m: ActorOutMessage): void {
    if (!this.isClosed) this.session.push(this.lane, m);
  }

  spend(cost: number): boolean {
    if (this.isClosed) return false;
    if (cost === 0) return true;
    const { session } = this;
    if (!this.allowance.fits(cost)) {
      session.purse.leave(this);
      return false;
    }
    if (session.isCrowded) {
      session.purse.leave(this);
      if (!this.crowded) session.awaitRoom(this);
      this.crowded = true;
      return false;
    }
    if (!session.purse.spend(this, cost)) return false;
    this.allowance.spend(cost);
    return true;
  }

  close(): void {
    this.onClose?.();
    if (this.isClosed) return;
    this.detach();
    this.session.forget(this);
  }

  /** detach ends all that goes by this port: the session is over. */
  detach(): void {
    this.isClosed = true;
    this.session.purse.leave(this);
  }

  /** credit raises what this actor may send of events. */
  credit(offset: number): void {
    if (this.allowance.raise(offset)) this.retry();
  }

  retry(): void {
    this.crowded = false;
    if (!this.isClosed) this.seat?.writable();
  }
}
