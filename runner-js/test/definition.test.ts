import { actor, event, setup, UserError } from "stagedoor";
import { describe, expect, test } from "vitest";
import { isDefinition } from "../src/actor/check.ts";
import { defaultOptions } from "../src/actor/options.ts";

/** actor() as JavaScript calls it. */
const define = actor as unknown as (config: unknown) => ReturnType<typeof actor>;

const wrong: [what: string, config: unknown, says: RegExp][] = [
  ["no object", undefined, /takes an object, not undefined/],
  ["no actions", {}, /actions must be an object of functions, and is undefined/],
  ["state and createState", { state: {}, createState: () => ({}), actions: {} }, /state and createState are both given.*leave state out/],
  ["vars and createVars", { vars: {}, createVars: () => ({}), actions: {} }, /vars and createVars are both given/],
  ["connState and createConnState", { connState: {}, createConnState: () => ({}), actions: {} }, /connState and createConnState are both given/],
  ["an unknown key", { actoins: {}, actions: {} }, /unknown option "actoins", did you mean actions\?/],
  ["an unknown key, nothing near", { zzzzzzzzzz: 1, actions: {} }, /unknown option "zzzzzzzzzz"$/],
  ["onRequest", { onRequest: () => new Response(), actions: {} }, /onRequest is not there yet: raw HTTP handlers come with a later version/],
  ["onWebSocket", { onWebSocket: () => {}, actions: {} }, /onWebSocket is not there yet/],
  ["queues", { queues: {}, actions: {} }, /queues is not there yet/],
  ["a hook that is no function", { onWake: 1, actions: {} }, /onWake must be a function, and is number/],
  ["an action that is no function", { actions: { a: 1 } }, /action "a" must be a function or a group of functions, and is number/],
  ["an action in a group that is none", { actions: { g: { a: "x" } } }, /action "g.a" must be a function/],
  ["an action that is an array", { actions: { a: [] } }, /action "a" must be .* an array/],
  ["an empty action name", { actions: { "": () => 1 } }, /empty name/],
  ["an empty name in a group", { actions: { g: { "": () => 1 } } }, /in "g\." has an empty name/],
  ["an action called then", { actions: { then: () => 1 } }, /"then": JavaScript itself asks every object for then/],
  ["a group's action called then", { actions: { g: { then: () => 1 } } }, /"g.then": JavaScript itself asks/],
  ["an action called toString", { actions: { toString: () => 1 } }, /asks every object for toString/],
  ["a group called constructor", { actions: { constructor: { a: () => 1 } } }, /asks every object for constructor/],
  ["an action called __proto__", { actions: JSON.parse('{"__proto__":1}') }, /asks every object for __proto__/],
  ["a name of dots", { actions: { "..": () => 1 } }, /only of dots/],
  ["a name over 128 bytes", { actions: { ["ä".repeat(65)]: () => 1 } }, /has 130 bytes, 128 at most/],
  ["a lone surrogate", { actions: { "\ud800": () => 1 } }, /not valid Unicode/],
  ["colliding names", { actions: { "users.add": () => 1, users: { add: () => 2 } } }, /two actions are called "users.add"/],
  ["state that cannot be stored", { state: { a: [{ f: () => 1 }] }, actions: {} }, /state\.a\[0\]\.f/],
  ["state of a class", { state: { a: new (class A {})() }, actions: {} }, /state\.a/],
  ["connState that cannot be stored", { connState: { s: Symbol("x") }, actions: {} }, /connState\.s/],
  ["vars that cannot be copied", { vars: { f: () => 1 }, actions: {} }, /make them with createVars/],
  ["an unknown option", { options: { actionTimeut: 1 }, actions: {} }, /unknown option "actionTimeut", did you mean actionTimeout\?/],
  ["a time-out that is none", { options: { actionTimeout: -1 }, actions: {} }, /actionTimeout must be a whole number of milliseconds/],
  ["a time-out without end", { options: { sleepTimeout: Infinity }, actions: {} }, /sleepTimeout must be a whole number/],
  ["a concurrency that is none", { options: { concurrency: "parallel" }, actions: {} }, /concurrency must be one of interleaved, serial/],
  ["a durability that is none", { options: { durability: "ram" }, actions: {} }, /durability must be one of volatile, fast, disk, replicated/],
  ["noSleep that is none", { options: { noSleep: 1 }, actions: {} }, /noSleep must be true or false/],
  ["events that are none", { events: { count: Number }, actions: {} }, /"count" is declared by event<Payload>\(\)/],
  ["no events", { events: {}, actions: {} }, /events is empty/],
  ["an event name over 128 bytes", { events: { ["a".repeat(129)]: event() }, actions: {} }, /1 to 128 bytes/],
  ["run without function", { run: { name: "x" }, actions: {} }, /run must have a function run/],
  ["run with an unknown key", { run: { run: () => {}, ikon: "x" }, actions: {} }, /unknown option "ikon", did you mean icon\?/],
];

test.each(wrong)("actor() refuses %s", (_, config, says) => {
  expect(() => define(config)).toThrow(says);
  expect(() => define(config)).toThrow(TypeError);
});

describe("actor()", () => {
  test("flattens groups of actions", () => {
    const add = () => 1;
    const list = () => 2;
    const made = actor({ actions: { add, users: { list, deep: { add } } } });
    expect([...made.actions]).toEqual([
      ["add", add],
      ["users.list", list],
      ["users.deep.add", add],
    ]);
    expect(isDefinition(made)).toBe(true);
  });

  test("takes names that clients and handles have themselves", () => {
    const names = ["send", "connect", "action", "get", "create", "dispose", "resolve", "name", "call"];
    const made = define({ actions: Object.fromEntries(names.map((name) => [name, () => name])) });
    expect([...made.actions.keys()]).toEqual(names);
  });

  test("copies static values, and keeps creators", () => {
    const state = { list: [1], at: new Date(0), seen: new Set(["a"]), big: 2n ** 70n, zero: -0, nothing: undefined };
    const createVars = () => ({});
    const made = actor({ state, createVars, connState: { n: 0 }, actions: {} });
    state.list.push(2);
    expect(made.state).toEqual({
      kind: "value",
      value: { list: [1], at: new Date(0), seen: new Set(["a"]), big: 2n ** 70n, zero: -0, nothing: undefined },
    });
    expect(made.vars).toEqual({ kind: "create", create: createVars });
    expect(made.connState).toEqual({ kind: "value", value: { n: 0 } });
  });

  test("has defaults, of which options replace some", () => {
    expect(actor({ actions: {} }).options).toBe(defaultOptions);
    expect(actor({ actions: {}, options: { concurrency: "serial", sleepTimeout: 5 } }).options).toEqual({
      ...defaultOptions,
      concurrency: "serial",
      sleepTimeout: 5,
    });
    expect(defaultOptions).toMatchObject({ actionTimeout: 60_000, onWakeTimeout: 30_000, createVarsTimeout: 5_000, sleepTimeout: undefined });
  });

  test("takes run as a function, or with name and icon", () => {
    const run = async (): Promise<void> => {};
    expect(actor({ actions: {}, run })).toMatchObject({ run, displayName: undefined, icon: undefined });
    expect(actor({ actions: {}, run: { name: "Ticker", icon: "clock", run } })).toMatchObject({ run, displayName: "Ticker", icon: "clock" });
  });

  test("lists declared events", () => {
    expect(actor({ actions: {} }).events).toBeUndefined();
    expect(actor({ actions: {}, events: { a: event<number>(), b: event({ unreliable: true }) } }).events).toEqual(new Map([["a", event()], ["b", event({ unreliable: true })]]));
  });

  test("refuses what it does not know of an event", () => {
    expect(() => event({ unrelaible: true } as object)).toThrow(/event\(\): unknown option "unrelaible", did you mean unreliable\?/);
    expect(() => event({ unreliable: "yes" as unknown as boolean })).toThrow(/unreliable must be true or false, and is string/);
  });
});

describe("setup()", () => {
  const counter = actor({ state: { count: 0 }, actions: {} });
  const make = setup as unknown as (options: unknown) => unknown;
  const cases: [what: string, options: unknown, says: RegExp][] = [
    ["nothing", undefined, /takes an object/],
    ["no use", {}, /use must be an object/],
    ["an empty use", { use: {} }, /use is empty/],
    ["what is not of actor()", { use: { counter: { actions: {} } } }, /counter was not made by actor\(\)/],
    ["a bad type name", { use: { "a b": counter } }, /"a b" is not 1 to 64/],
    ["a type name of dots", { use: { "..": counter } }, /not only dots/],
    ["a type called then", { use: { then: counter } }, /asks every object for then/],
    ["an unknown option", { use: { counter }, endpont: "x" }, /unknown option "endpont", did you mean endpoint\?/],
    ["an option of a wrong type", { use: { counter }, token: 1 }, /token must be text, and is number/],
    ["a port that is none", { use: { counter }, port: -1 }, /port must be a whole number from 0 on/],
    ["a logger that is none", { use: { counter }, logger: { info() {} } }, /logger has no method trace/],
    ["an endpoint that is none", { use: { counter }, endpoint: "nowhere" }, /setup\(\): endpoint is not a URL/],
    ["a base path that is none", { use: { counter }, basePath: "api" }, /basePath must be a path/],
    ["a namespace that is none", { use: { counter }, namespace: "a b" }, /namespace is not 1 to 64/],
    ["a level that is none", { use: { counter }, logLevel: "loud" }, /logLevel must be one of trace, /],
  ];
  test.each(cases)("refuses %s", (_, options, says) => {
    expect(() => make(options)).toThrow(says);
    expect(() => make(options)).toThrow(TypeError);
  });

  test("starts nothing and needs no environment", () => {
    const registry = setup({ use: { counter } });
    expect(Object.keys(registry.config.use)).toEqual(["counter"]);
    expect(Object.isFrozen(registry)).toBe(true);
  });
});

describe("UserError", () => {
  test("has a code, metadata and the group user", () => {
    expect(new UserError("m")).toMatchObject({ group: "user", code: "user_error", message: "m", metadata: undefined, retryable: false });
    expect(new UserError("m", { code: "no_money", metadata: { need: 3 }, retryable: true })).toMatchObject({
      code: "no_money",
      metadata: { need: 3 },
      retryable: true,
    });
  });

  test("refuses a code that no gateway would pass on", () => {
    expect(() => new UserError("m", { code: "no money" })).toThrow(/not 1 to 64 of/);
  });
});
