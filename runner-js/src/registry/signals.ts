const signals = ["SIGTERM", "SIGINT"] as const;

/**
 * At the first SIGTERM or SIGINT calls `stop`, and ends the process when it is through, if nobody else listens for that
 * signal. A second one is not ours: it ends the process at once.
 *
 * @returns takes the listeners back
 */
export function onStopSignal(stop: () => Promise<void>): () => void {
  const release = (): void => {
    for (const signal of signals) process.removeListener(signal, listener);
  };
  const listener = (signal: NodeJS.Signals): void => {
    release();
    const alone = process.listenerCount(signal) === 0;
    void stop().finally(() => {
      if (alone) process.exit(); // with process.exitCode, if something has failed before
    });
  };
  for (const signal of signals) process.on(signal, listener);
  return release;
}
