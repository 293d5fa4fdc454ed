// Knows the registry that this process has set up last, for clients without an endpoint. It imports nothing of Node:
// `stagedoor/client` is for browsers too.

/** What a registry does for the clients of its process. */
export interface ClientHost {
  /**
   * Finds or starts, in development, the gateway and this process's runner.
   *
   * @returns where clients go, `https://namespace:token@host`
   */
  prepareClient(): Promise<string>;
}

let current: ClientHost | undefined;

export function setCurrent(host: ClientHost): void {
  current = host;
}

export function getCurrent(): ClientHost | undefined {
  return current;
}
