import { raise } from "../error.ts";
import { after } from "../timer.ts";
import { now } from "./call.ts";

/** quietMs is after how long without a sound something that was written is asked after; or twice the round trip, if that is more. */
const quietMs = 300;
/** patienceMs is how long the answer to that may take; or four round trips, if that is more. */
const patienceMs = 500;
/** welcomeMs is the same for the gateway's Welcome, which cannot be asked after. */
const welcomeMs = 2000;

/** Heart is what a pulse moves. */
export interface Heart {
  /** ping asks the gateway for a sign. sure: it must not be lost on the way. */
  ping(nonce: bigint, sure: boolean): void;
  /** silent: the gateway says nothing any more. */
  silent(cause: Error): void;
  /** stalled: it may be that nothing gets through, while another transport may. It is told again only after something has come. */
  stalled(): void;
}

/** Pulse tells a socket that is silent from one that is dead [SESS-5]. */
export class Pulse {
  private readonly heart: Heart;
  /** What is written is asked after soon: for a transport that something on the way may stop carrying without a word. */
  private readonly quick: boolean;
  private readonly beganAt = now();
  private heardAt = now();
  /** Intervals of the present silence that were answered by a Ping. */
  private pinged = 0;
  private pingMs = 0;
  private timer: ReturnType<typeof setTimeout>;

  private lastPing = { nonce: 0n, at: 0 };
  private roundTripMs = 0;

  /** Since when something that was written waits for any sound. */
  private waitingSince: number | undefined;
  private askedAt: number | undefined;
  private quickTimer: ReturnType<typeof setTimeout> | undefined;

  /** The gateway's Welcome has so long to come. */
  constructor(heart: Heart, quick: boolean, connectTimeoutMs: number) {
    this.heart = heart;
    this.quick = quick;
    const ms = quick ? Math.min(welcomeMs, connectTimeoutMs) : connectTimeoutMs;
    this.timer = after(ms, () => heart.silent(new Error("the gateway sent no Welcome in time")));
  }

  /** welcomed: from now on each interval of silence has a Ping, and the third is the last [SESS-5]. */
  welcomed(pingMs: number): void {
    this.roundTripMs = now() - this.beganAt;
    this.pingMs = pingMs;
    this.watch();
  }

  /** heard: something has come. */
  heard(): void {
    this.heardAt = now();
    this.pinged = 0;
    this.waitingSince = this.askedAt = undefined;
  }

  /** wrote: something was sent, to which some sound should come. */
  wrote(): void {
    if (!this.quick || this.pingMs === 0 || this.waitingSince !== undefined) return;
    this.waitingSince = now();
    if (this.quickTimer === undefined) this.lookIn(this.quietMs);
  }

  /** Whether nothing has come since it was asked for. */
  get isStalled(): boolean {
    return this.askedAt !== undefined;
  }

  ponged(nonce: bigint): void {
    if (nonce !== this.lastPing.nonce) return;
    this.roundTripMs += (now() - this.lastPing.at - this.roundTripMs) / 4;
  }

  stop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.quickTimer);
  }

  private ping(sure: boolean): void {
    this.lastPing = { nonce: this.lastPing.nonce + 1n, at: now() };
    this.heart.ping(this.lastPing.nonce, sure);
  }

  private watch(): void {
    clearTimeout(this.timer);
    const { pingMs } = this;
    this.timer = after(Math.max(1, (this.pinged + 1) * pingMs - (now() - this.heardAt)), () => {
      const silentMs = now() - this.heardAt;
      if (silentMs >= 3 * pingMs) return this.heart.silent(raise("session.ping_timed_out"));
      if (silentMs >= (this.pinged + 1) * pingMs) {
        this.pinged++;
        this.ping(this.pinged > 1); // [SESS-21]
      }
      this.watch();
    });
    unref(this.timer); // the socket itself keeps a busy process alive
  }

  private get quietMs(): number {
    return Math.max(quietMs, 2 * this.roundTripMs);
  }

  private get patienceMs(): number {
    return Math.max(patienceMs, 4 * this.roundTripMs);
  }

  private lookIn(ms: number): void {
    this.quickTimer = after(ms, () => {
      this.quickTimer = undefined;
      this.look();
    });
    unref(this.quickTimer);
  }

  /** look goes from waiting to asking, and from asking to giving the alarm. */
  private look(): void {
    if (this.waitingSince === undefined) return;
    const at = now();
    if (this.askedAt === undefined) {
      const leftMs = this.waitingSince + this.quietMs - at;
      if (leftMs > 0) return this.lookIn(leftMs);
      this.askedAt = at;
      this.ping(true);
      return this.lookIn(this.patienceMs);
    }
    const leftMs = this.askedAt + this.patienceMs - at;
    if (leftMs > 0) this.lookIn(leftMs);
    else this.heart.stalled();
  }
}

/** unref lets a process end that has nothing else to wait for; elsewhere than in Node timers are numbers. */
function unref(timer: unknown): void {
  (timer as { unref?: () => void }).unref?.();
}
