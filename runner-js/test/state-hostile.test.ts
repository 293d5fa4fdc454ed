// Keys and values that come from clients must stay within the state.
import { decode, encode } from "@stagedoor/client/values";
import { afterEach, describe, expect, it } from "vitest";
import { Root } from "../src/state/index.ts";

function rootOf(value: unknown): Root {
  const root = new Root("state", () => undefined);
  root.replace(value);
  return root;
}

type Deep = Record<string, Record<string, unknown>>;

afterEach(() => {
  for (const prototype of [Object.prototype, Array.prototype] as unknown as Record<string, unknown>[]) {
    const { polluted } = prototype;
    delete prototype["polluted"];
    expect(polluted).toBeUndefined();
  }
});

/** What JSON.parse and the codec make of such a key: a property of its own. */
const own = () => JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}') as Deep;

describe("a key __proto__", () => {
  it("that an object has of its own is an entry like others", () => {
    const root = rootOf({ users: {} });
    const state = root.view as { users: unknown };
    state.users = decode(encode(own()));
    const again = new Root("state", () => undefined);
    again.reset(decode(root.encode()));
    const { users } = again.view as { users: Deep };
    expect(Object.getPrototypeOf(users)).toBe(Object.prototype);
    expect(Object.keys(users).sort()).toEqual(["__proto__", "constructor"]);
    users["__proto__"]!["polluted"] = 2;
    users["constructor"]!["x"] = 2;
    expect(again.dirty).toBe(true);
    expect(users["__proto__"]).toEqual({ polluted: 2 });
  });

  it("never leads out of the state", () => {
    for (const value of [{ part: {} }, { part: [] }]) {
      const root = rootOf(value);
      const { part } = root.view as { part: Deep };
      expect(() => {
        part["__proto__"]!["polluted"] = 1;
      }).toThrow();
      expect(() => {
        (part as Record<string, unknown>)["__proto__"] = { polluted: 1 };
      }).toThrow(/state\.part/);
      expect(() => Object.assign(part, own())).toThrow(/state\.part/);
      expect((part as Record<string, unknown>)["polluted"]).toBeUndefined();
      expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
      expect(([] as unknown as Record<string, unknown>)["polluted"]).toBeUndefined();
    }
  });
});
