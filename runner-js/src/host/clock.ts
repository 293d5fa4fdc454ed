import { MAX_TIMEOUT_MS } from "../link/clock.ts";

/** now is a clock in milliseconds that is not set. */
export function now(): number {
  return performance.now();
}

/** Timer is what `later` has begun. */
export type Timer = ReturnType<typeof setTimeout>;

/** later does something after a time, if the process lives that long: no actor keeps it alive, its link does. */
export function later(ms: number, what: () => void): Timer {
  const timer = setTimeout(what, Math.min(ms, MAX_TIMEOUT_MS));
  timer.unref();
  return timer;
}
