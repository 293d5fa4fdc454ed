/**
 * Instant is a moment on two clocks, in milliseconds: performance.now, which never goes back but may stand still while the
 * machine is suspended, and the wall clock, which counts suspension but may be set. What has passed between two instants is
 * the larger of both, so that no suspension goes unnoticed; a clock that is set forward makes a lease end early, never late
 * [LEASE-2].
 */
export interface Instant {
  readonly steadyMs: number;
  readonly wallMs: number;
}

/** MAX_TIMEOUT_MS is the longest time that a timer takes; a longer one would fire at once. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export function now(): Instant {
  return { steadyMs: performance.now(), wallMs: Date.now() };
}

/** passedMs is the time from one instant to a later one. */
export function passedMs(from: Instant, to: Instant): number {
  return Math.max(to.steadyMs - from.steadyMs, to.wallMs - from.wallMs);
}
