import { describe, expect, test } from "vitest";
import { Backoff } from "../src/link/backoff.ts";
import type { Instant } from "../src/link/clock.ts";
import { Allowance, Purse, type Waiter } from "../src/link/credit.ts";
import { parseEndpoint } from "../src/link/endpoint.ts";
import { Lease } from "../src/link/lease.ts";

const at = (steadyMs: number, wallMs = steadyMs): Instant => ({ steadyMs, wallMs });

describe("lease", () => {
  test("it lasts from the Hello, and ends its turns a margin before [LEASE-1] [LEASE-2]", () => {
    const lease = new Lease(15_000, 3_000, at(0));
    expect(lease.holds(at(11_999))).toBe(true);
    expect(lease.holds(at(12_000))).toBe(false);
    expect(lease.ended(at(14_999))).toBe(false);
    expect(lease.ended(at(15_000))).toBe(true);
  });

  test("suspension counts, and a wall clock that is set back lengthens nothing [LEASE-2]", () => {
    expect(new Lease(15_000, 3_000, at(0)).holds(at(10, 20_000))).toBe(false);
    expect(new Lease(15_000, 3_000, at(0, 90_000)).holds(at(12_000, 0))).toBe(false);
  });

  test("a Pong renews it from the Ping that it names, unless it has ended [LEASE-1] [LEASE-3]", () => {
    const lease = new Lease(15_000, 3_000, at(0));
    const nonce = lease.ask(at(9_000));
    expect(lease.renew(nonce + 1n, 15_000, at(9_100))).toBe(false);
    expect(lease.renew(nonce, 0, at(9_100))).toBe(false);
    expect(lease.renew(nonce, 15_000, at(9_100))).toBe(false); // turns were never held up
    expect(lease.holds(at(20_999))).toBe(true);
    const late = lease.ask(at(20_000));
    expect(lease.holds(at(21_500))).toBe(false);
    expect(lease.renew(late, 15_000, at(21_500))).toBe(true); // they go on
    expect(lease.ended(at(60_000))).toBe(true);
    expect(lease.renew(lease.ask(at(60_000)), 15_000, at(60_001))).toBe(false);
    expect(lease.ended(at(60_001))).toBe(true);
  });

  test("who was refused because the wall clock ran ahead is told, too, when it is back", () => {
    const lease = new Lease(15_000, 3_000, at(0));
    const nonce = lease.ask(at(3_000));
    expect(lease.holds(at(4_000, 13_000))).toBe(false);
    expect(lease.renew(nonce, 15_000, at(5_000))).toBe(true);
    expect(lease.renew(lease.ask(at(6_000)), 15_000, at(6_100))).toBe(false);
  });

  test("without leases the right does not end", () => {
    const lease = new Lease(0, 0, at(0));
    expect(lease.holds(at(1e9))).toBe(true);
    expect(lease.ended(at(1e9))).toBe(false);
  });
});

describe("backoff [LINK-11]", () => {
  test("the bound doubles up to the maximum, the jitter is full", () => {
    let random = 1;
    const b = new Backoff(() => random);
    b.welcome(100, 1000);
    expect([b.nextMs(), b.nextMs(), b.nextMs(), b.nextMs(), b.nextMs()]).toEqual([200, 400, 800, 1000, 1000]);
    random = 0;
    expect(b.nextMs()).toBe(100);
    random = 1;
    b.welcome(0, 0);
    expect(b.nextMs()).toBe(200);
    expect(b.longestMs).toBe(5000);
  });
});

describe("credit [LINK-18]", () => {
  test("an allowance", () => {
    const a = new Allowance();
    expect(a.fits(1)).toBe(false);
    expect([a.raise(100), a.raise(100), a.raise(99)]).toEqual([true, false, false]);
    a.spend(60);
    expect([a.fits(40), a.fits(41)]).toEqual([true, false]);
  });

  class Group implements Waiter {
    readonly costs: number[];
    readonly purse: Purse;

    constructor(purse: Purse, ...costs: number[]) {
      this.purse = purse;
      this.costs = costs;
    }

    retry(): void {
      while (this.costs.length > 0 && this.purse.spend(this, this.costs[0]!)) this.costs.shift();
    }
  }

  test("a large group is not passed by small ones for ever", () => {
    const purse = new Purse();
    purse.raise(10);
    const [large, small] = [new Group(purse, 50), new Group(purse, 5, 5)];
    large.retry();
    small.retry();
    expect(small.costs.length).toBe(2);
    purse.raise(30);
    expect(small.costs.length).toBe(2);
    purse.raise(55);
    expect([large.costs.length, small.costs.length]).toEqual([0, 1]);
    purse.raise(60);
    expect(small.costs.length).toBe(0);
  });

  test("who has ended, or has left the line, holds up nobody", () => {
    const purse = new Purse();
    const [gone, left, next] = [new Group(purse, 5), new Group(purse, 5), new Group(purse, 5)];
    for (const g of [gone, left, next]) g.retry();
    gone.costs.length = 0;
    purse.leave(left);
    purse.raise(5);
    expect(next.costs.length).toBe(0);
    expect(left.costs.length).toBe(1);
  });
});

test("what stands before an @ or behind a ? is not shown", () => {
  expect(parseEndpoint("https://name:secret@gateway.example/?token=secret").shown).toBe("https://gateway.example/");
});
