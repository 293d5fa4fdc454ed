import { MAX_TIMEOUT_MS } from "./clock.ts";
import type { Session } from "./session.ts";

/** How long a drained runner without actors waits for the gateway's Goodbye. */
const EMPTY_WAIT_MS = 2_000;

/** Drainer is the orderly end of a runner [LINK-10]. */
export class Drainer {
  private readonly timeoutMs: number;
  /** When all is over, on the clock of performance.now; undefined: it has not begun. */
  private endMs: number | undefined;
  private told: Session | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** Called when the time is over. */
  onOver: (() => void) | undefined;

  constructor(timeoutMs: number) {
    this.timeoutMs = Math.min(timeoutMs, MAX_TIMEOUT_MS);
  }

  /** start asks the gateway to stop the actors of a session. Asked again, it does so for another session only. */
  start(s: Session): void {
    if (this.told !== s) {
      this.told = s;
      this.endMs ??= performance.now() + this.timeoutMs;
      const deadlineMs = Math.max(1, Math.round(this.endMs - performance.now()));
      s.log.info("draining", { timeoutMs: deadlineMs });
      s.say({ kind: "drain", deadlineMs, code: "runner.draining" });
    }
    s.onEmpty = () => this.arm(s);
    this.arm(s);
  }

  private arm(s: Session): void {
    const left = Math.max(0, (this.endMs ?? 0) - performance.now());
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.onOver?.(), s.actors.size === 0 ? Math.min(EMPTY_WAIT_MS, left) : left);
  }

  /** stop forgets the timer. */
  stop(): void {
    clearTimeout(this.timer);
    this.onOver = undefined;
  }
}
