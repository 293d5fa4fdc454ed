import { decode, encodeState, NotStorableError } from "@stagedoor/client/values";
import { describe, expect, it, vi } from "vitest";
import { allowClones, bare, raw, Root } from "../src/state/index.ts";

type Any = any; // eslint-disable-line @typescript-eslint/no-explicit-any

function rootOf<T>(value: T): { root: Root; state: T; wrote: ReturnType<typeof vi.fn> } {
  const wrote = vi.fn();
  const root = new Root("state", wrote);
  root.reset(value);
  return { root, state: root.view as T, wrote };
}

/** wrote tells whether a change was noticed, and begins to look anew. */
function noticed(root: Root): boolean {
  const was = root.dirty;
  root.dirty = false;
  return was;
}

describe("views", () => {
  it("are the same at every read", () => {
    const { state } = rootOf({ a: { b: [{}] }, m: new Map([["k", {}]]), bytes: new Uint8Array(2) });
    expect(state.a).toBe(state.a);
    expect(state.a.b[0]).toBe(state.a.b[0]);
    expect(state.m).toBe(state.m);
    expect(state.m.get("k")).toBe(state.m.get("k"));
    expect(state.bytes).toBe(state.bytes);
    expect(state.a.b.find(() => true)).toBe(state.a.b[0]);
  });

  it("notice writes at any depth, once until they are looked at", () => {
    const { root, state, wrote } = rootOf({ a: { list: [{ n: 1 }] } });
    expect(state.a.list[0]?.n).toBe(1);
    expect(wrote).not.toHaveBeenCalled();
    state.a.list[0]!.n++;
    state.a.list.push({ n: 3 });
    expect(wrote).toHaveBeenCalledTimes(1);
    expect(root.value).toEqual({ a: { list: [{ n: 2 }, { n: 3 }] } });
  });

  it("do not count a write of what is there already", () => {
    const { root, state } = rootOf({ n: 1, o: { x: 1 }, s: new Set(["a"]), m: new Map([["k", 1]]) });
    state.n = 1;
    const { o } = state;
    state.o = o;
    state.s.add("a");
    state.m.set("k", 1);
    state.m.delete("none");
    delete (state as { none?: unknown }).none;
    expect(noticed(root)).toBe(false);
  });

  it("notice that an object written to behind them is stored again", () => {
    const { root, state } = rootOf({ o: {} });
    const o = { x: 1 };
    state.o = o;
    noticed(root);
    o.x = 2;
    state.o = o;
    expect(noticed(root)).toBe(true);
  });

  it("look like plain values", () => {
    const { state } = rootOf({ list: [1, [2]], o: { a: 1 }, m: new Map([["k", { v: 1 }]]), s: new Set([1]), d: new Date(5), b: new Uint8Array([1, 2]) });
    expect(Array.isArray(state.list)).toBe(true);
    expect(JSON.stringify(state)).toBe('{"list":[1,[2]],"o":{"a":1},"m":{},"s":{},"d":"1970-01-01T00:00:00.005Z","b":{"0":1,"1":2}}');
    expect(Object.entries(state.o)).toEqual([["a", 1]]);
    expect("a" in state.o).toBe(true);
    expect({ ...state.o }).toEqual({ a: 1 });
    expect([...state.list]).toEqual([1, [2]]);
    expect([0, ...state.list].concat(state.list)).toHaveLength(5);
    expect(state.m instanceof Map && state.s instanceof Set && state.d instanceof Date && state.b instanceof Uint8Array).toBe(true);
    expect(new Date(state.d).getTime()).toBe(5);
    expect(new Map(state.m).get("k")).toEqual({ v: 1 });
    expect([...state.b]).toEqual([1, 2]);
    expect(state.b.length).toBe(2);
    expect(new TextDecoder().decode(state.b.slice())).toBe("\x01\x02");
  });

  it("can be cloned", () => {
    allowClones();
    const { state } = rootOf({ a: { list: [1] }, m: new Map([["k", { v: new Date(1) }]]), b: new Uint8Array([1]) });
    const copy = structuredClone({ state, more: 1 });
    expect(copy).toEqual({ state: { a: { list: [1] }, m: new Map([["k", { v: new Date(1) }]]), b: new Uint8Array([1]) }, more: 1 });
    copy.state.a.list.push(2);
    expect(state.a.list).toHaveLength(1);
    expect(() => structuredClone(() => 0)).toThrow("could not be cloned");
  });

  it("are replaced by what they show where they are stored elsewhere", () => {
    const { root, state } = rootOf<{ a: { n: number }; b?: object; list: unknown[] }>({ a: { n: 1 }, list: [] });
    state.b = { again: state.a, in: [state.a] };
    state.list.push(state.a);
    const value = root.value as { a: object; b: { again: object; in: object[] }; list: object[] };
    expect(value.b.again).toBe(value.a);
    expect(value.b.in[0]).toBe(value.a);
    expect(value.list[0]).toBe(value.a);
    expect(raw(state.a)).toBe(value.a);
  });

  it("of another root are copied", () => {
    const one = rootOf({ o: { n: 1 }, m: new Map([["k", 1]]) });
    const two = rootOf<{ o?: { n: number }; m?: Map<string, number> }>({});
    two.state.o = one.state.o;
    two.state.m = one.state.m;
    two.state.o.n = 2;
    two.state.m.set("k", 2);
    expect(one.root.dirty).toBe(false);
    expect(one.state.o.n + one.state.m.get("k")!).toBe(2);
  });

  it("are found in values that leave", () => {
    const { state } = rootOf({ o: { n: 1 }, b: new Uint8Array([1]), m: new Map([["k", { v: 1 }]]) });
    const out = bare({ o: state.o, b: [state.b], m: state.m });
    expect(decode(encodeState(out))).toEqual({ o: { n: 1 }, b: [new Uint8Array([1])], m: new Map([["k", { v: 1 }]]) });
    const plain = { a: [1] };
    expect(bare(plain)).toBe(plain);
  });
});

describe("maps, sets, dates and bytes", () => {
  it("notice writes by every method", () => {
    const { root, state } = rootOf({ m: new Map<string, { n: number }>([["a", { n: 1 }]]), s: new Set<unknown>([1]), d: new Date(0), b: new Uint8Array(4), f: new Float64Array(1) });
    const writes: (() => unknown)[] = [
      () => state.m.set("b", { n: 2 }),
      () => state.m.get("b")!.n++,
      () => state.m.forEach((v) => v.n++),
      () => { for (const [, v] of state.m) v.n++; },
      () => [...state.m.values()].map((v) => v.n++),
      () => state.m.delete("b"),
      () => state.m.clear(),
      () => state.s.add(2),
      () => state.s.delete(2),
      () => state.s.clear(),
      () => state.d.setFullYear(2001),
      () => state.d.setTime(7),
      () => (state.b[0] = 5),
      () => state.b.set([1, 2]),
      () => state.b.fill(9),
      () => state.b.subarray(1)[0]!++ ,
      () => state.b.reverse(),
      () => (state.f[0] = 0.5),
    ];
    for (const write of writes) {
      const before = root.encode();
      noticed(root);
      write();
      expect(noticed(root), write.toString()).toBe(!Buffer.from(before).equals(root.encode()) || write.toString().includes("reverse"));
    }
    expect([...state.b]).toEqual([9, 9, 10, 9]);
  });

  it("do not notice reads", () => {
    const { root, state } = rootOf({ m: new Map([["a", { n: 1 }]]), s: new Set([1]), d: new Date(0), b: new Uint8Array([3, 1]) });
    void [state.m.get("a"), state.m.has("a"), state.m.size, [...state.m.keys()], state.s.has(1), state.s.size, [...state.s], state.d.getTime(), state.d.toISOString()];
    void [state.b[0], state.b.slice(), state.b.map((x) => x), state.b.includes(1), state.b.byteLength, state.b.subarray(1)];
    expect(noticed(root)).toBe(false);
  });
});

describe("what cannot be stored", () => {
  class Account {
    readonly id = 1;
  }
  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = { cyclic };
  const deep = JSON.parse("[".repeat(70) + "]".repeat(70)) as unknown;
  const cases: [string, (s: Any) => unknown, string][] = [
    ["a function", (s) => (s.users[0].callback = () => 0), "state.users[0].callback cannot be stored or sent: it is a function"],
    ["a nested function", (s) => s.users.push({ a: [1, { f() {} }] }), "state.users[1].a[1].f"],
    ["a symbol", (s) => (s.x = Symbol("s")), "state.x"],
    ["a symbol key", (s) => (s[Symbol.for("k")] = 1), "Symbol(k)"],
    ["an instance", (s) => (s["an account"] = new Account()), 'state["an account"] cannot be stored or sent: it is an instance of Account'],
    ["a promise", (s) => (s.p = Promise.resolve(1)), "an instance of Promise"],
    ["a WeakMap", (s) => (s.w = [new WeakMap()]), "state.w[0]"],
    ["a cycle", (s) => (s.c = cyclic), "state.c.self.cyclic cannot be stored or sent: it contains itself"],
    ["itself", (s) => (s.users[0].all = s), "it contains itself"],
    ["its container", (s) => s.users.push({ in: s.users }), "state.users[1].in"],
    ["depth", (s) => (s.deep = deep), "nested deeper than 64"],
    ["a map key", (s) => s.map.set({}, 1), "a key of a Map"],
    ["a map value", (s) => s.map.set("k", () => 0), 'state.map.get("k")'],
    ["a set element", (s) => s.set.add(new Account()), "state.set[0]"],
    ["a surrogate", (s) => (s.text = "\ud800"), "state.text"],
    ["a surrogate key", (s) => (s["\ud800"] = 1), "surrogate"],
    ["an invalid date", (s) => (s.date = new Date(Number.NaN)), "invalid date"],
    ["a date made invalid", (s) => s.when.setTime(Number.NaN), "state.when"],
    ["a prototype", (s) => (s.__proto__ = { x: 1 }), "prototype"],
    ["a getter", (s) => Object.defineProperty(s, "g", { get: () => 1, enumerable: true, configurable: true }), "state.g"],
    ["an array's property", (s) => (s.users.name = "x"), "no other properties"],
    ["a huge array", (s) => (s.users[2 ** 30] = 1), "elements"],
    ["a huge length", (s) => (s.users.length = 2 ** 30), "elements"],
    ["all of several", (s) => s.users.push(1, 2, () => 0), "state.users[3]"],
    ["by splice", (s) => s.users.splice(0, 1, { f: () => 0 }), "state.users[0].f"],
    ["by Object.assign", (s) => Object.assign(s.users[0], { f: () => 0 }), "state.users[0].f"],
  ];
  it.each(cases)("%s is refused where it is written, and changes nothing", (_, write, message) => {
    const { root, state } = rootOf({ users: [{ name: "a" }], map: new Map(), set: new Set(), when: new Date(0) });
    const before = root.encode();
    expect(() => write(state)).toThrow(message);
    expect(() => write(state)).toThrow(TypeError);
    expect(root.encode()).toEqual(before);
    expect(root.dirty).toBe(false);
  });

  it("is refused as the whole value", () => {
    const { root } = rootOf<unknown>({ a: 1 });
    expect(() => root.replace({ f: [() => 0] })).toThrow(new NotStorableError("state.f[0]", "it is a function"));
    expect(root.value).toEqual({ a: 1 });
  });

  it("while writes are not allowed is everything", () => {
    const { root, state } = rootOf({ n: 1, m: new Map() });
    root.locked = "not now";
    expect(() => (state.n = 2)).toThrow("not now");
    expect(() => state.m.set("a", 1)).toThrow("not now");
    expect(() => root.replace(1)).toThrow("not now");
    expect(root.value).toEqual({ n: 1, m: new Map() });
  });
});

describe("the whole value", () => {
  it("can be of any kind", () => {
    const { root } = rootOf<unknown>(undefined);
    for (const value of [5, "x", null, [1], new Map([["a", 1]]), { a: 1 }]) {
      root.replace(value);
      expect(noticed(root)).toBe(true);
      expect(root.view).toEqual(value);
    }
  });

  it("may hold what is frozen: a copy is stored", () => {
    const { root } = rootOf<unknown>(undefined);
    root.replace(Object.freeze({ a: Object.freeze([Object.freeze({ n: 1 })]), m: Object.freeze(new Map([["k", 1]])) }));
    const state = root.view as { a: { n: number }[]; m: Map<string, number> };
    state.a[0]!.n = 2;
    state.m.set("k", 2);
    expect(root.value).toEqual({ a: [{ n: 2 }], m: new Map([["k", 2]]) });
  });
});
