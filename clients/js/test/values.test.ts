import { decode as cborgDecode, encode as cborgEncode } from "cborg";
import { describe, expect, test } from "vitest";
import { InvalidPayloadError, NotStorableError, decode, encode, encodeState, fromJson, toJson } from "../src/values/index.ts";
import { seeded } from "./tools.ts";
import { hex, unhex, vectors } from "./vectors.ts";

/** Every value that is carried, as the issue lists them. */
const values: Record<string, unknown> = {
  undefined,
  null: null,
  true: true,
  false: false,
  zero: 0,
  "negative zero": -0,
  NaN: Number.NaN,
  infinity: Number.POSITIVE_INFINITY,
  "negative infinity": Number.NEGATIVE_INFINITY,
  "small integers": [1, 23, 24, 255, 256, 65535, 65536, 4294967295, 4294967296, Number.MAX_SAFE_INTEGER],
  "negative integers": [-1, -24, -25, -256, -257, -65537, -4294967297, Number.MIN_SAFE_INTEGER],
  floats: [0.1, 1.5, -2.25, 1e-7, 5e-324, 2 ** -24, 2 ** -14, 65504, 65505.5, 3.4028234663852886e38, 1.7976931348623157e308],
  "integers beyond 2^53": [2 ** 53, -(2 ** 53), 2 ** 60, 1e21, 2 ** 64],
  bigints: [0n, 1n, -1n, 255n, 2n ** 53n, -(2n ** 53n), 2n ** 64n - 1n, 2n ** 64n, -(2n ** 64n), -(2n ** 64n) - 1n, 10n ** 100n],
  text: ["", "a", "é", "😀", "\u0000", "\ufeffbom", "x".repeat(23), "x".repeat(24), "ü".repeat(100), "a".repeat(70_000)],
  dates: [new Date(0), new Date(1_700_000_000_123), new Date(-1), new Date("0001-01-01T00:00:00.001Z"), new Date("9999-12-31T23:59:59.999Z")],
  bytes: [new Uint8Array(), new Uint8Array([0, 1, 255])],
  arrays: [[], [[]], [1, [2, [3]]]],
  "sparse array": [1, undefined, 3],
  objects: { a: 1, "": {}, nested: { list: [{ b: null }] }, gone: undefined, "ключ": "значение" },
  "object of __proto__": JSON.parse('{"__proto__": {"polluted": true}}'),
  maps: [new Map(), new Map([["a", 1]]), new Map<unknown, unknown>([[1, "a"], ["b", 2], [null, 3], [1n, 4]])],
  "map with keys of objects": new Map([[[1, 2], "pair"], [[3], "one"]]),
  sets: [new Set(), new Set([1, "a", null]), new Set([new Set([1])])],
  "arrays like tags": [["$Date", 1], ["$", 1], ["$$x", ["$Set", [1]]]],
  "a set like a tag": new Set(["$a", 1]),
};

/** What only CBOR has. */
const memory: Record<string, unknown> = {
  float64: new Float64Array([1.5, -0, Number.NaN]),
  int8: new Int8Array([-1, 127]),
  uint16: new Uint16Array([1, 65535]),
  bigint64: new BigInt64Array([-1n, 2n ** 62n]),
  "part of a buffer": new Int32Array(new Int32Array([1, 2, 3, 4]).buffer, 4, 2),
};

describe("round trips", () => {
  test.each(Object.entries({ ...values, ...memory }))("%s through CBOR", (_, value) => {
    expect(decode(encode(value))).toStrictEqual(value);
  });

  test.each(Object.entries({ ...values, ...memory }))("%s through the CBOR of state", (_, value) => {
    expect(decode(encodeState(value))).toEqual(value); // whose keys are sorted
  });

  test.each(Object.entries(values))("%s through JSON", (_, value) => {
    expect(fromJson(JSON.parse(toJson(value)))).toStrictEqual(value);
  });

  test("a mebibyte of bytes, and one of text", () => {
    const bytes = new Uint8Array(1 << 20).map((_, i) => i * 31);
    const text = "aé😀".repeat(1 << 18);
    expect(Buffer.compare(decode(encode(bytes)) as Uint8Array, bytes)).toBe(0);
    expect(Buffer.compare(fromJson(JSON.parse(toJson(bytes))) as Uint8Array, bytes)).toBe(0);
    expect(decode(encodeState(text)) === text).toBe(true);
  });

  test("an ArrayBuffer comes back as bytes", () => {
    expect(decode(encode(new Uint8Array([1, 2]).buffer))).toStrictEqual(new Uint8Array([1, 2]));
  });

  test("a Buffer of Node is bytes, and what is decoded of one is a copy", () => {
    const bytes = Buffer.from(encode(Buffer.from([1, 2])));
    const value = decode(bytes) as Uint8Array;
    bytes.fill(0);
    expect(value.constructor).toBe(Uint8Array);
    expect(value).toStrictEqual(new Uint8Array([1, 2]));
  });

  test("random values, also against cborg", () => {
    const random = seeded(7);
    for (let i = 0; i < 2000; i++) {
      const value = randomValue(random, 0);
      expect(decode(encode(value))).toStrictEqual(value);
      expect(fromJson(JSON.parse(toJson(value)))).toStrictEqual(value);
    }
    for (let i = 0; i < 2000; i++) {
      const value = randomValue(random, 0, true);
      expect(hex(encodeState(value))).toBe(hex(cborgEncode(value)));
      expect(decode(cborgEncode(value))).toStrictEqual(value);
      expect(cborgDecode(encode(value), { allowUndefined: true })).toStrictEqual(value);
    }
  });
});

test("equal state has equal bytes", () => {
  expect(encodeState({ b: 1, a: 2, aa: 3, é: 4 })).toStrictEqual(encodeState({ é: 4, aa: 3, a: 2, b: 1 }));
  expect(hex(encodeState({ aa: 1, b: 2 }))).toBe("a261620262616101");
  const a = new Map<unknown, unknown>([["x", 1], [10, 2], [-1, 3]]);
  expect(hex(encodeState(a))).toBe("a30a022003617801");
  expect(encodeState(new Map([["b", 1], ["a", 2]]))).toStrictEqual(encodeState(new Map([["a", 2], ["b", 1]])));
});

class Point {
  x = 1;
}

const cycle: Record<string, unknown> = { list: [] };
(cycle["list"] as unknown[]).push(cycle);

function nested(levels: number): unknown {
  let value: unknown = 0;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

const refused: [string, unknown, string][] = [
  ["a function", { users: [0, 0, 0, { callback: () => 1 }] }, "state.users[3].callback"],
  ["a symbol", { s: Symbol("x") }, "state.s"],
  ["an instance of a class", { points: new Map([["a", new Point()]]) }, 'state.points.get("a")'],
  ["a promise", [Promise.resolve()], "state[0]"],
  ["a weak map", { "odd key": new WeakMap() }, 'state["odd key"]'],
  ["an error", { error: new Error("x") }, "state.error"],
  ["a regular expression", { pattern: /x/ }, "state.pattern"],
  ["a view of data", { view: new DataView(new ArrayBuffer(1)) }, "state.view"],
  ["an invalid date", { when: new Date(Number.NaN) }, "state.when"],
  ["a lone surrogate", { text: "\ud800" }, "state.text"],
  ["a long lone surrogate", { text: `${"x".repeat(100)}\udc00` }, "state.text"],
  ["a cycle", cycle, "state.list[0]"],
  ["the value itself", () => 1, "state"],
  ["a function in a set", new Set([1, () => 1]), "state[1]"],
];

describe("what cannot be carried", () => {
  test.each(refused)("%s", (_, value, path) => {
    for (const write of [encode, encodeState, toJson]) {
      let error: unknown;
      try {
        write(value, { root: "state" });
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(NotStorableError);
      expect(error).toBeInstanceOf(TypeError);
      expect((error as NotStorableError).path).toBe(path);
      expect((error as NotStorableError).message).toContain(path);
    }
  });

  test("64 levels are carried, 65 are not", () => {
    expect(decode(encode(nested(64)))).toStrictEqual(nested(64));
    expect(() => encode(nested(65))).toThrow(/deeper than 64/);
    expect(() => toJson(nested(65))).toThrow(/deeper than 64/);
    expect(fromJson(JSON.parse(toJson(nested(64))))).toStrictEqual(nested(64));
  });

  test("an encode that failed leaves nothing behind", () => {
    expect(() => encode({ a: "x".repeat(100), f: () => 1 })).toThrow(NotStorableError);
    expect(hex(encode(1))).toBe("01");
  });

  test("a getter may encode", () => {
    const value = {
      before: 1,
      get inner() {
        return encode({ deep: true });
      },
    };
    expect(decode(decode(encode(value))!["inner" as never])).toStrictEqual({ deep: true });
  });
});

interface Pair {
  name: string;
  direction: string;
  json: string;
  cbor: string;
}

describe("the vectors of payloads", () => {
  const { pairs, refusedCBOR, refusedJSON } = vectors("payload") as Record<string, Pair[]>;

  test.each(pairs!.map((pair) => [pair.name, pair] as const))("%s", (name, { direction, json, cbor }) => {
    const value = decode(unhex(cbor));
    // Integers of more than 64 bits and inexact ones differ by language.
    if (name.startsWith("integer read") || name.startsWith("smallest integer read")) return;
    expect(fromJson(JSON.parse(json))).toStrictEqual(value);
    if (direction !== "fromJSON") expect(fromJson(JSON.parse(toJson(value)))).toStrictEqual(value);
    if (direction === "both" && !json.includes(".0")) expect(hex(encode(fromJson(JSON.parse(json))))).toBe(cbor);
  });

  test.each(refusedCBOR!.map((one) => [one.name, one.cbor] as const))("refused: %s", (_, cbor) => {
    expect(() => decode(unhex(cbor))).toThrow(InvalidPayloadError);
  });

  test.each(refusedJSON!.map((one) => [one.name, one.json] as const))("refused JSON: %s", (name, json) => {
    // JSON.parse takes these, and the gateway never writes them.
    if (["duplicate key", "lone surrogate", "number too large"].includes(name)) return;
    expect(() => fromJson(JSON.parse(json))).toThrow();
  });
});

test("random bytes are a value or refused", () => {
  const random = seeded(11);
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from({ length: Math.floor(random() * 24) }, () => random() * 256);
    try {
      decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidPayloadError);
    }
  }
});

function randomValue(random: () => number, depth: number, plain = false): unknown {
  const pick = Math.floor(random() * (depth > 3 ? 8 : plain ? 10 : 14));
  const list = <T>(make: () => T) => Array.from({ length: Math.floor(random() * 4) }, make);
  switch (pick) {
    case 0:
      return null;
    case 1:
      return random() < 0.5;
    case 2:
      return Math.floor(random() * 2 ** Math.floor(random() * 53)) * (random() < 0.5 ? 1 : -1) + 0;
    case 3:
      return plain ? 0.5 + Math.floor(random() * 1e6) : random() * 2 ** (random() * 2000 - 1000);
    case 4:
    case 5:
      return list(() => String.fromCodePoint(Math.floor(random() < 0.7 ? 32 + random() * 90 : 0x100 + random() * 0xd000))).join("");
    case 6:
      return Uint8Array.from(list(() => random() * 256));
    case 7:
      return plain ? undefined : BigInt(Math.floor(random() * 2 ** 53)) ** BigInt(Math.floor(random() * 3));
    case 8:
      return list(() => randomValue(random, depth + 1, plain));
    case 9:
      return Object.fromEntries(list(() => [`k${random().toString(36).slice(2, 2 + random() * 8)}`, randomValue(random, depth + 1, plain)]));
    case 10:
      return new Date(Math.floor((random() - 0.5) * 1e14));
    case 11:
      return new Set(list(() => Math.floor(random() * 100)));
    default:
      return new Map(list(() => [random() < 0.5 ? `t${random()}` : Math.floor(random() * 1000), randomValue(random, depth + 1)] as const));
  }
}
