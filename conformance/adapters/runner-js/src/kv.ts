import { actor } from "stagedoor";
import type { Kv } from "stagedoor";
import { options, planned, sleep } from "./kit.ts";
import type { Hosted } from "./kit.ts";

type Bytes = Uint8Array;
type Entry = [key: Bytes, value: Bytes];

const binary = { type: "binary", keyType: "binary" } as const;
const upTo = (limit: number) => (limit === 0 ? {} : { limit });
const get = (kv: Kv, key: Bytes): Promise<Bytes | null> => kv.get(key, binary);

export const kv: Hosted = actor({
  state: {},
  options,
  actions: {
    get: (c, key: Bytes) => get(c.kv, key),
    getMany: (c, keys: Bytes[]) => c.kv.batchGet(keys),
    list: (c, prefix: Bytes, reverse: boolean, limit: number) => c.kv.list(prefix, { ...binary, reverse, ...upTo(limit) }),
    listRange: (c, from: Bytes, until: Bytes, reverse: boolean, limit: number) =>
      c.kv.listRange(from, until, { ...binary, reverse, ...upTo(limit) }),
    put: (c, key: Bytes, value: Bytes) => c.kv.put(key, value),
    delete: (c, key: Bytes) => c.kv.delete(key),
    deleteRange: (c, from: Bytes, until: Bytes) => c.kv.deleteRange(from, until),
    batchPut: (c, entries: Entry[]) => c.kv.batchPut(entries),
    batchDelete: (c, keys: Bytes[]) => c.kv.batchDelete(keys),
    putThenGet: async (c, key: Bytes, value: Bytes) => {
      await c.kv.put(key, value);
      return get(c.kv, key);
    },
    deleteThenGet: async (c, key: Bytes) => {
      await c.kv.delete(key);
      return get(c.kv, key);
    },
    putThenList: async (c, key: Bytes, value: Bytes, prefix: Bytes) => {
      await c.kv.put(key, value);
      return c.kv.list(prefix, binary);
    },
    deleteRangeThenList: async (c, from: Bytes, until: Bytes, prefix: Bytes) => {
      await c.kv.deleteRange(from, until);
      return c.kv.list(prefix, binary);
    },
    putThenFail: async (c, key: Bytes, value: Bytes, code: string) => {
      await c.kv.put(key, value);
      throw planned(code);
    },
    fill: async (c, prefix: string, count: number, size: number) => {
      for (let i = 0; i < count; i++) await c.kv.put(`${prefix}${String(i).padStart(4, "0")}`, "x".repeat(size));
    },
    sleep,
  },
});
