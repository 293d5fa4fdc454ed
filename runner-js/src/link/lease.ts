import { now, passedMs, type Instant } from "./clock.ts";

/** For a Welcome that names none. */
const DEFAULT_MARGIN_MS = 3_000;
/** How many unanswered Pings are remembered. */
const MAX_ASKED = 8;

/**
 * Lease is the runner's right to host the actors of a session. It is compared with the clock whenever it matters; no timer
 * decides [LEASE-2].
 */
export class Lease {
  private from: Instant;
  /** 0: the gateway gives no leases, and the right does not end. */
  private lengthMs: number;
  private readonly marginMs: number;
  private lapsed = false;
  /** Somebody was told that turns may not begin, and waits. */
  private refused = false;
  private nonce = 0n;
  private asked: { nonce: bigint; at: Instant }[] = [];

  /** helloAt is when the Hello that began the session was sent [LEASE-1]. */
  constructor(leaseMs: number, marginMs: number, helloAt: Instant) {
    this.from = helloAt;
    this.lengthMs = leaseMs;
    this.marginMs = Math.min(marginMs || DEFAULT_MARGIN_MS, leaseMs / 2);
  }

  /** holds tells whether turns may begin and frames may be written. */
  holds(at = now()): boolean {
    const holds = this.lengthMs === 0 || (!this.ended(at) && this.leftMs(at) > this.marginMs);
    if (!holds) this.refused = true;
    return holds;
  }

  /** ended tells whether the lease is over, which it then stays [LEASE-3]. */
  ended(at = now()): boolean {
    if (this.lengthMs > 0 && this.leftMs(at) <= 0) this.lapsed = true;
    return this.lapsed;
  }

  /** graceMs is how long an actor of this lease may wait to be adopted: until one more lease would be over. */
  graceMs(): number | undefined {
    return this.lengthMs === 0 ? undefined : Math.max(0, this.leftMs(now()) + this.lengthMs);
  }

  /** ask notes a Ping that is about to be sent, and gives its nonce. */
  ask(at = now()): bigint {
    this.nonce++;
    this.asked.push({ nonce: this.nonce, at });
    if (this.asked.length > MAX_ASKED) this.asked.shift();
    return this.nonce;
  }

  /** renew takes a Pong that has come. true: turns may begin again. */
  renew(nonce: bigint, leaseMs: number, at = now()): boolean {
    const asked = this.asked.find((a) => a.nonce === nonce);
    if (this.lengthMs === 0 || leaseMs === 0 || asked === undefined || this.ended(at)) return false;
    const before = this.leftMs(at);
    const after = leaseMs - passedMs(asked.at, at);
    if (after <= before) return false;
    this.from = asked.at;
    this.lengthMs = leaseMs;
    if (!this.refused || after <= this.marginMs) return false;
    this.refused = false;
    return true;
  }

  private leftMs(at: Instant): number {
    return this.lengthMs - passedMs(this.from, at);
  }
}
