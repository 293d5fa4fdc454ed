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
