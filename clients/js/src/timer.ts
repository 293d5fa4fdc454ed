/** longestMs is the longest that a timer can wait; one that is told more does not wait at all. */
export const longestMs = 2 ** 31 - 1;

/** after is setTimeout for a wait of any length: beyond 24 days it is shorter. */
export function after(ms: number, then: () => void): ReturnType<typeof setTimeout> {
  return setTimeout(then, Math.min(ms, longestMs));
}
