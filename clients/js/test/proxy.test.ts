import { expect, test } from "vitest";
import { createClient } from "../src/index.ts";
import type { Invoke } from "../src/proxy.ts";
import { withActions } from "../src/proxy.ts";

type Anything = Record<string, (...args: unknown[]) => Promise<unknown>> & { users: Record<string, Anything["x"]>; own: number };

function proxied(): { object: Anything; calls: [string, unknown[]][] } {
  const calls: [string, unknown[]][] = [];
  const invoke: Invoke = (name, args) => {
    calls.push([name, args]);
    return Promise.resolve(name);
  };
  return { object: withActions({ own: 1 }, invoke) as unknown as Anything, calls };
}

test("every name is an action, in groups as well", async () => {
  const { object, calls } = proxied();
  await object["send"]!("a", 1);
  await object.users["add"]!("b");
  const { add } = object.users;
  await add!("c");
  for (const name of ["call", "apply", "bind", "name", "length", "send", "on_", "catch", "finally"]) await object.users[name]!();
  expect(calls.slice(0, 3)).toStrictEqual([["send", ["a", 1]], ["users.add", ["b"]], ["users.add", ["c"]]]);
  expect(calls.map(([name]) => name)).toContain("users.call");
  expect(object["send"]).toBe(object["send"]);
});

test("what JavaScript asks of every object is no action", async () => {
  const { object, calls } = proxied();
  for (const one of [object, object["send"], object.users]) expect(await Promise.resolve(one)).toBe(one); // no `then`
  expect(JSON.stringify(object)).toBe('{"own":1}');
  expect(`${object as unknown as string}`).toBe("[object Object]");
  expect(object.own).toBe(1);
  expect(() => {
    object["send"] = () => Promise.resolve();
  }).toThrow(TypeError);
  expect(calls).toStrictEqual([]);
});

test("a client is no promise, and has an accessor for every type but its own names", async () => {
  const client = createClient("http://127.0.0.1:1") as unknown as Record<string, Record<string, unknown>>;
  expect(await Promise.resolve(client)).toBe(client);
  expect(client["counter"]).toBe(client["counter"]);
  expect(Object.keys(client["anything"]!)).toStrictEqual(["get", "getOrCreate", "create", "getForId"]);
  expect(client["get"]).toBeTypeOf("function");
  expect((client["counter"]!["get"] as () => object)()).not.toHaveProperty("then");
});
