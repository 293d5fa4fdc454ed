let last = 0;

/** unique is a key that no other test has. */
export function unique(name: string): string {
  return `${name}-${process.pid}-${Date.now().toString(36)}-${++last}`;
}

/** eventually waits until a check passes; the test's own time-out ends it otherwise. */
export async function eventually(check: () => unknown): Promise<void> {
  for (;;) {
    try {
      await check();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** seeded is a source of numbers in [0, 1) that is the same in every run. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
