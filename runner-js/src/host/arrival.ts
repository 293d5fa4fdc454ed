import type { ConnectionOpen } from "../wire/messages.ts";

/** Arrival is a start or an adoption whose restored connections are still to come [CONN-6]. */
export class Arrival {
  readonly #expected: number;
  readonly #then: (restored: readonly ConnectionOpen[]) => void;
  readonly #restored: ConnectionOpen[] = [];

  constructor(expected: number, then: (restored: readonly ConnectionOpen[]) => void) {
    this.#expected = expected;
    this.#then = then;
  }

  add(m: ConnectionOpen): void {
    this.#restored.push(m);
  }

  /** complete: all are there. */
  get complete(): boolean {
    return this.#restored.length >= this.#expected;
  }

  /** go goes on. */
  go(): void {
    this.#then(this.#restored);
  }
}
