import { NotStorableError } from "@stagedoor/client/values";
import { expect, test } from "vitest";
import { digest, identify, type Identity } from "../src/identity.ts";

const identity: Identity = { name: "room", key: ["lobby"], params: undefined, noCreate: false };
const withParams = (params: unknown) => identify({ ...identity, params });

test("the order of properties does not matter, and values are told apart by their types", () => {
  expect(withParams({ a: 1, b: [2] })).toBe(withParams({ b: [2], a: 1 }));
  const different = [undefined, null, {}, [], "1", 1, 1n << 70n, new Date(1), new Map([["a", 1]]), { a: 1 }, new Set(["a"]), new Uint8Array([1])];
  expect(new Set(different.map(withParams)).size).toBe(different.length);
  expect(new Set(different.map(withParams).map(digest)).size).toBe(different.length);
});

test("a key is its parts", () => {
  const keys = [[], [""], ["a", "b"], ["a,b"], ['a","b'], ["b", "a"]];
  expect(new Set(keys.map((key) => identify({ ...identity, key }))).size).toBe(keys.length);
});

test("params that cannot be sent are refused with the place", () => {
  expect(() => withParams({ user: { onLeave() {} } })).toThrow(NotStorableError);
  expect(() => withParams({ user: { onLeave() {} } })).toThrow(/params\.user\.onLeave/);
});

test("a digest has 14 digits", () => {
  expect(digest(withParams({ token: "of somebody" }))).toMatch(/^[0-9a-f]{14}$/);
});
