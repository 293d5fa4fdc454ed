// Credit for events [LINK-18].

/** Allowance is what may still be sent. A new one allows nothing. */
export class Allowance {
  private spent = 0;
  private limit = 0;

  /** raise takes an absolute offset. false: it is no news. */
  raise(offset: number): boolean {
    if (offset <= this.limit) return false;
    this.limit = offset;
    return true;
  }

  fits(cost: number): boolean {
    return this.spent + cost <= this.limit;
  }

  spend(cost: number): void {
    this.spent += cost;
  }
}

/** Waiter is whoever stands in the line of a Purse. */
export interface Waiter {
  /** retry has it try spend again, if it still wants to. */
  retry(): void;
}

/**
 * Purse is the link's credit for the events of all its actors together. Actors that wait for it stand in a line, and each in
 * its turn gets what a whole group costs, or waits on: a large group is not passed by small ones for ever.
 */
export class Purse {
  private readonly allowance = new Allowance();
  private readonly line = new Set<Waiter>();
  private refused: Waiter | undefined;

  /** spend takes the cost, or puts the waiter into the line. */
  spend(waiter: Waiter, cost: number): boolean {
    const head = this.head();
    if ((head === undefined || head === waiter) && this.allowance.fits(cost)) {
      this.allowance.spend(cost);
      this.line.delete(waiter);
      return true;
    }
    this.line.add(waiter);
    this.refused = waiter;
    return false;
  }

  /** leave takes a waiter out of the line that waits for something else, or for nothing any more. */
  leave(waiter: Waiter): void {
    this.line.delete(waiter);
  }

  /** raise takes a new offset and lets those in the line go on, as far as it reaches. */
  raise(offset: number): void {
    if (!this.allowance.raise(offset)) return;
    for (let first = this.head(); first !== undefined; first = this.head()) {
      this.refused = undefined;
      first.retry();
      if (this.head() !== first) continue;
      if (this.refused === first) return;
      this.line.delete(first); // it wants nothing any more
    }
  }

  private head(): Waiter | undefined {
    return this.line.values().next().value;
  }
}
