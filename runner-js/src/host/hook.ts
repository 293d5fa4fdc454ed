import { later } from "./clock.ts";
import type { Timer } from "./clock.ts";
import { fault } from "./fault.ts";

/** isPromise tells what is to be awaited. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/**
 * bounded is the result of a hook, or action.timed_out when its time is over. The hook itself cannot be stopped: what it still does
 * counts as done outside of turns.
 */
export async function bounded(what: string, timeoutMs: number, result: unknown): Promise<unknown> {
  if (!isPromise(result)) return result;
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = later(timeoutMs, () => reject(fault("action.timed_out", `${what} took longer than ${timeoutMs} ms.`)));
  });
  try {
    return await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}
