import type { Transport } from "../types.ts";
import { now } from "./call.ts";

/** How long a transport that failed is not tried: from the first to the second, doubling with each failure. */
const shortestMs = 30_000;
const longestMs = 600_000;
/** A transport that has worked for so long is tried soon again when it fails. */
const provenMs = 60_000;

interface Failure {
  times: number;
  /** Until when it is not tried. */
  until: number;
  /** Since when it works. */
  upSince: number | undefined;
}

/** What failed where, for all clients of this page or process, by transport and origin. */
const failures = new Map<string, Failure>();

const keyOf = (base: string, transport: Transport) => `${transport} ${new URL(base).origin}`;

/** noteFailure: the transport did not work there, while another did. */
export function noteFailure(base: string, transport: Transport): void {
  const key = keyOf(base, transport);
  const before = failures.get(key);
  const proven = before?.upSince !== undefined && now() - before.upSince >= provenMs;
  const times = before === undefined || proven ? 1 : before.times + 1;
  failures.set(key, { times, until: now() + Math.min(longestMs, shortestMs * 2 ** (times - 1)), upSince: undefined });
}

/** noteSuccess: it works there. */
export function noteSuccess(base: string, transport: Transport): void {
  const failure = failures.get(keyOf(base, transport));
  if (failure === undefined) return;
  failure.until = 0;
  failure.upSince ??= now();
}

/** barredMs is for how long the transport is not to be tried there; 0: it may. */
export function barredMs(base: string, transport: Transport): number {
  const until = failures.get(keyOf(base, transport))?.until ?? 0;
  return Math.max(0, until - now());
}

/** forgetFailures begins anew, for tests. */
export function forgetFailures(): void {
  failures.clear();
}
