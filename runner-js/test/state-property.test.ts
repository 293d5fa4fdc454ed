import { decode, encodeState } from "@stagedoor/client/values";
import { isDeepStrictEqual } from "node:util";
import { expect, it } from "vitest";
import { Root } from "../src/state/index.ts";

// The same operations are done to tracked state and to plain values. Both must read alike after each, and a change of what
// would be stored must have been noticed.

/** A small generator of numbers below 2^32, the same for the same seed. */
function random(seed: number): (below: number) => number {
  let s = seed >>> 0;
  return (below) => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return Math.floor((s / 2 ** 32) * below);
  };
}

type Any = any; // eslint-disable-line @typescript-eslint/no-explicit-any
type Pick = (below: number) => number;

function valueOf(pick: Pick, depth: number): unknown {
  switch (pick(depth > 3 ? 8 : 14)) {
    case 0: return pick(10);
    case 1: return ["", "a", "é€😀"][pick(3)];
    case 2: return null;
    case 3: return undefined;
    case 4: return [-0, Number.NaN, Number.POSITIVE_INFINITY, 0.5][pick(4)];
    case 5: return BigInt(pick(5)) * 10n ** BigInt(pick(30));
    case 6: return new Date(pick(1e9));
    case 7: return Uint8Array.from({ length: pick(4) }, () => pick(256));
    case 8: case 9: return Array.from({ length: pick(4) }, () => valueOf(pick, depth + 1));
    case 10: return new Map(Array.from({ length: pick(3) }, () => [`k${pick(4)}`, valueOf(pick, depth + 1)]));
    case 11: return new Set(Array.from({ length: pick(3) }, () => pick(5)));
    default: return Object.fromEntries(Array.from({ length: pick(4) }, () => [`p${pick(4)}`, valueOf(pick, depth + 1)]));
  }
}

/** somewhere goes the same random way down both. */
function somewhere(pick: Pick, a: Any, b: Any): [Any, Any] {
  for (let steps = pick(5); steps > 0; steps--) {
    const key = Array.isArray(b) ? pick(Math.max(1, b.length)) : b instanceof Map ? [...b.keys()][pick(b.size)] : Object.keys(b)[pick(Object.keys(b).length)];
    const [x, y] = b instanceof Map ? [a.get(key), b.get(key)] : [a?.[key as string], b?.[key as string]];
    if (typeof y !== "object" || y === null) break;
    [a, b] = [x, y];
  }
  return [a, b];
}

function operate(pick: Pick, target: Any): (value: () => unknown) => (on: Any) => unknown {
  const n = pick(4);
  const of = (...operations: ((on: Any, value: unknown) => unknown)[]) => {
    const operation = operations[pick(operations.length)] as (on: Any, value: unknown) => unknown;
    return (value: () => unknown) => (on: Any) => operation(on, value());
  };
  if (Array.isArray(target)) {
    return of(
      (on, v) => on.push(v, n), (on) => on.pop(), (on) => on.shift(), (on, v) => on.unshift(v), (on, v) => on.splice(n, 1, v, v),
      (on) => on.splice(-1), (on) => on.reverse() === on, (on, v) => on.fill(v, n, n + 1) === on, (on) => on.sort() === on,
      (on) => on.sort((x: unknown, y: unknown) => String(x).length - String(y).length).length, (on) => on.copyWithin(0, n).length,
      (on, v) => (on[n] = v), (on) => (on.length = n), (on) => on.indexOf(n), (on) => on.includes(on[n]), (on) => on.slice(n).length,
      (on) => on.map((x: unknown) => typeof x), (on) => delete on[n], (on) => on.at(-1) === on[on.length - 1], (on) => on.flat().length,
      (on) => on.concat([1]).length, (on) => on.findLastIndex((x: unknown) => x === null), (on) => [...on.entries()].length, (on) => on.join(),
    );
  }
  if (target instanceof Map) {
    return of(
      (on, v) => on.set(`k${n}`, v) === on, (on, v) => on.set(n, v).size, (on) => on.delete(`k${n}`), (on) => on.clear(), (on) => on.has(`k${n}`),
      (on) => [...on.keys()], (on) => [...on].length, (on) => { let sum = 0; on.forEach((_: unknown, k: unknown, m: unknown) => { sum += Number(m === on) + String(k).length; }); return sum; },
    );
  }
  if (target instanceof Set) {
    return of((on) => on.add(n) === on, (on) => on.delete(n), (on) => on.clear(), (on) => on.has(n), (on) => [...on], (on) => on.size, (on) => [...on.entries()]);
  }
  if (target instanceof Date) return of((on) => on.setTime(n * 1e9), (on) => on.setMonth(n), (on) => on.getTime(), (on) => on.toISOString());
  if (target instanceof Uint8Array) {
    return of(
      (on) => (on[n] = 300), (on) => on.fill(n) === on, (on) => on.set(on.slice(0, 1), Math.max(0, on.length - 1)), (on) => [...on], (on) => on.length,
      (on) => on.subarray(1).fill(7).length, (on) => on.sort() === on, (on) => on.indexOf(n), (on) => on.at(0),
    );
  }
  const key = `p${n}`;
  return of(
    (on, v) => (on[key] = v), (on) => delete on[key], (on) => Object.keys(on), (on, v) => Object.assign(on, { [key]: v, x: n }) === on,
    (on) => key in on, (on) => on[key] === on[key], (on) => JSON.stringify(on, (_, v: unknown) => (typeof v === "bigint" ? String(v) : v)),
    (on) => Object.entries(on).length, (on) => ({ ...on }) instanceof Object, (on) => Object.hasOwn(on, key),
  );
}

it.each([1, 2, 3, 4, 5, 6, 7, 8])("tracked state behaves as plain values, seed %i", (seed) => {
  const pick = random(seed);
  for (let world = 0; world < 40; world++) {
    const root = new Root("state", () => {});
    const plain = { p0: valueOf(pick, 0), p1: valueOf(pick, 0) } as Any;
    root.reset(structuredClone(plain));
    for (let step = 0; step < 40; step++) {
      const [on, model] = somewhere(pick, root.view, plain);
      const made = pick(2 ** 31);
      const operation = operate(pick, model)(() => valueOf(random(made), 1));
      const before = root.encode();
      root.dirty = false;
      const want = operation(model);
      const got = operation(on);
      if (typeof want !== "object") expect(got, operation.toString()).toEqual(want);
      const after = root.encode();
      expect(Buffer.from(after).equals(encodeState(plain)), operation.toString()).toBe(true);
      expect(isDeepStrictEqual(decode(after), decode(encodeState(plain)))).toBe(true);
      if (!Buffer.from(before).equals(after)) expect(root.dirty, operation.toString()).toBe(true);
    }
  }
});
