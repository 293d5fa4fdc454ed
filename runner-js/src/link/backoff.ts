// Until a Welcome says better.
const DEFAULT_MIN_MS = 100;
const DEFAULT_MAX_MS = 5_000;

/**
 * Backoff is the pause before the next link: random between the minimum and a bound that doubles with each failure up to the
 * maximum [LINK-11]. Full jitter keeps runners that lost their gateway together from coming back together.
 */
export class Backoff {
  private minMs = DEFAULT_MIN_MS;
  private maxMs = DEFAULT_MAX_MS;
  private failures = 0;
  private readonly random: () => number;

  /** random gives numbers in [0, 1). */
  constructor(random: () => number = Math.random) {
    this.random = random;
  }

  /** welcome takes the gateway's bounds, 0 for the defaults, and begins anew. */
  welcome(minMs: number, maxMs: number): void {
    this.failures = 0;
    this.minMs = minMs || DEFAULT_MIN_MS;
    this.maxMs = Math.max(this.minMs, maxMs || DEFAULT_MAX_MS);
  }

  get longestMs(): number {
    return this.maxMs;
  }

  nextMs(): number {
    const bound = Math.min(this.maxMs, this.minMs * 2 ** (this.failures + 1));
    this.failures++;
    return this.minMs + this.random() * (bound - this.minMs);
  }
}
