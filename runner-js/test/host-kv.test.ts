import { expect, it } from "vitest";
import { actor } from "../src/actor/actor.ts";
import type { Kv } from "../src/actor/kv.ts";
import { Overlay } from "../src/host/overlay.ts";
import type { KvEntry, KvOp, KvRead } from "../src/wire/messages.ts";
import { begin, type Stage, tick } from "./host-world.ts";

// The gateway of these tests answers reads from a Map that commits are applied to.

let kv!: Kv;
const def = actor({
  state: { n: 0 },
  actions: {
    run: (c) => {
      kv = c.kv;
    },
  },
});

async function stageOf(stored: Record<string, string> = {}, session = {}): Promise<Stage> {
  const stage = await begin(def, session);
  stage.call("run");
  stage.news();
  const { port } = stage;
  const forward = port.onSend;
  port.onSend = (m) => {
    forward?.(m);
    if (m.kind === "kvRead") queueMicrotask(() => stage.say({ kind: "kvResult", actor: 7, id: m.id, ...answer(stored, m), error: undefined }));
  };
  return stage;
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

function answer(stored: Record<string, string>, m: KvRead): { entries: KvEntry[]; more: boolean } {
  if (m.keys !== undefined) {
    return { entries: m.keys.map((key) => ({ key, value: ((v) => (v === undefined ? undefined : bytes(v)))(stored[Buffer.from(key).toString()]) })), more: false };
  }
  const [from, until] = [Buffer.from(m.range!.from).toString(), m.range!.until && Buffer.from(m.range!.until).toString()];
  let keys = Object.keys(stored).sort().filter((key) => key >= from && (until === undefined || key < until));
  if (m.reverse) keys = keys.reverse();
  const page = keys.slice(0, Math.min(2, m.limit ?? 2));
  return { entries: page.map((key) => ({ key: bytes(key), value: bytes(stored[key]!) })), more: page.length < keys.length };
}

it("reads what is stored, in the form that is asked for", async () => {
  await stageOf({ a: "é", b: "" });
  expect(await kv.get("a")).toBe("é");
  expect(await kv.get("b")).toBe("");
  expect(await kv.get("none")).toBe(null);
  expect(await kv.get(bytes("a"), { type: "binary" })).toEqual(bytes("é"));
  expect(new Uint8Array((await kv.get("a", { type: "arrayBuffer" }))!)).toEqual(bytes("é"));
  expect(await kv.batchGet(["a", "none"])).toEqual([bytes("é"), null]);
});

it("sees its own writes at once, and commits them with the tick", async () => {
  const stage = await stageOf({ a: "1", b: "2" });
  stage.acknowledge = false;
  void kv.put("a", "9");
  void kv.delete("b");
  void kv.put("c", new Uint8Array([1, 2]));
  expect([await kv.get("a"), await kv.get("b"), await kv.get("c", { type: "binary" })]).toEqual(["9", null, new Uint8Array([1, 2])]);
  expect(stage.news()).toEqual([]);
  await tick();
  expect(stage.news()).toEqual(["commit 2 +0 put a, delete b, put c"]);
  void kv.put("d", "4"); // behind the unanswered commit
  await tick();
  expect(await kv.get("d")).toBe("4");
  stage.ack();
  expect(stage.news()).toEqual(["commit 3 +0 put d"]);
});

it("what is unsent hides what is stored, by the last write to each key", () => {
  const keyOf = (n: number) => Uint8Array.of(n);
  let seed = 7;
  const below = (n: number) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % n;
  for (let round = 0; round < 300; round++) {
    const truth = new Map<number, number | null>();
    const ops: KvOp[] = Array.from({ length: below(20) }, () => {
      const from = below(6);
      if (below(4) === 0) {
        const until = from + below(3);
        for (let n = from; n < until; n++) truth.set(n, null);
        return { key: keyOf(from), deleteUntil: keyOf(until) };
      }
      const value = below(3) === 0 ? undefined : below(200);
      truth.set(from, value ?? null);
      return value === undefined ? { key: keyOf(from) } : { key: keyOf(from), value: keyOf(value) };
    });
    const overlay = new Overlay(ops);
    for (let n = 0; n < 8; n++) expect(overlay.find(keyOf(n))?.[0] ?? overlay.find(keyOf(n))).toBe(truth.get(n));
    const living = [...truth].filter(([n, value]) => n >= 1 && n < 5 && value !== null).sort(([a], [b]) => a - b);
    expect(overlay.puts({ from: keyOf(1), until: keyOf(5) }).map(({ key, value }) => [key[0], value?.[0]])).toEqual(living);
  }
});

it("gives text back as it was, a byte order mark too", async () => {
  const def = actor({ actions: { roundTrip: async (c, text: string) => (await c.kv.put("k", text), await c.kv.get("k")) } });
  const stage = await begin(def);
  const id = stage.call("roundTrip", ["\ufeffx"]);
  await tick();
  expect(stage.result(id)).toEqual({ output: "\ufeffx" });
});

it("does not keep the caller's bytes", async () => {
  await stageOf();
  const value = new Uint8Array([1]);
  void kv.put("a", value);
  value[0] = 2;
  const read = await kv.get("a", { type: "binary" });
  expect(read).toEqual(new Uint8Array([1]));
  read![0] = 3;
  expect(await kv.get("a", { type: "binary" })).toEqual(new Uint8Array([1]));
});

it("lists prefixes and ranges page by page, with its own writes woven in", async () => {
  await stageOf({ "u:1": "a", "u:2": "b", "u:3": "c", "u:5": "e", v: "x" });
  void kv.put("u:0", "new");
  void kv.put("u:4", "new");
  void kv.put("u:2", "B");
  void kv.delete("u:3");
  expect(await kv.list("u:")).toEqual([["u:0", "new"], ["u:1", "a"], ["u:2", "B"], ["u:4", "new"], ["u:5", "e"]]);
  expect(await kv.list("u:", { reverse: true, limit: 3 })).toEqual([["u:5", "e"], ["u:4", "new"], ["u:2", "B"]]);
  expect(await kv.list("u:", { limit: 2 })).toEqual([["u:0", "new"], ["u:1", "a"]]);
  expect(await kv.listRange("u:1", "u:4", { keyType: "binary", type: "binary" })).toEqual([[bytes("u:1"), bytes("a")], [bytes("u:2"), bytes("B")]]);
  void kv.deleteRange("u:", "u:4");
  expect(await kv.list("")).toEqual([["u:4", "new"], ["u:5", "e"], ["v", "x"]]);
});

it("refuses what is out of bounds", async () => {
  const stage = await stageOf({}, { limits: { maxKvKey: 4, maxKvValue: 4, maxKvBatch: 20, maxKvOperations: 3 } });
  const code = (promise: Promise<unknown>) => promise.then(() => "none", (e: { group?: string; code?: string; name: string }) => (e.group ? `${e.group}.${e.code}` : e.name));
  expect(await code(kv.put("", "x"))).toBe("kv.key_too_large");
  expect(await code(kv.get("abcde"))).toBe("kv.key_too_large");
  expect(await code(kv.put("a", "12345"))).toBe("kv.value_too_large");
  expect(await code(kv.listRange("b", "a"))).toBe("kv.invalid_range");
  expect(await code(kv.list("", { limit: -1 }))).toBe("kv.invalid_range");
  expect(await code(kv.batchPut([["a", "1"], ["b", "1"], ["c", "1"], ["d", "1"]]))).toBe("kv.batch_too_large");
  expect(await code(kv.put("a", 5 as never))).toBe("TypeError");
  await tick();
  expect(stage.news()).toEqual([]);
});

it("begins another commit where one would not hold all writes", async () => {
  const stage = await stageOf({}, { limits: { maxKvOperations: 2 } });
  for (const key of ["a", "b", "c"]) void kv.put(key, key);
  await tick();
  expect(stage.news()).toEqual(["commit 2 +0 put a, put b", "commit 3 +0 put c"]);
});

it("asks for no more at once than it may", async () => {
  const stage = await stageOf({ a: "1" }, { limits: { maxReadsPerActor: 2 } });
  const reads = [1, 2, 3, 4].map(() => kv.get("a"));
  expect(stage.news()).toHaveLength(2);
  expect(await Promise.all(reads)).toEqual(["1", "1", "1", "1"]);
});

it("fails with what the gateway said; what only a gateway may say stays with the actor [ERR-6]", async () => {
  const seen: unknown[] = [];
  const def = actor({
    state: {},
    actions: {
      read: async (c) => {
        try {
          return await c.kv.get("a");
        } catch (error) {
          seen.push(error);
          throw error;
        }
      },
    },
  });
  const stage = await begin(def);
  const refused = async (group: string, code: string) => {
    const id = stage.call("read");
    const read = stage.port.sent.findLast((m) => m.kind === "kvRead")!;
    const error = { group, code, message: "hunter2", metadata: undefined, retryable: true, ran: "no", retryAfterMs: 0 } as const;
    stage.say({ kind: "kvResult", actor: 7, id: read.id, entries: [], more: false, error });
    await tick();
    return stage.port.sent.find((m) => m.kind === "callResult" && m.id === id);
  };
  for (const [group, code] of [["store", "unavailable"], ["runner", "overloaded"], ["internal", "error"], ["no", "such_code"]] as const) {
    const message = expect.not.stringContaining("hunter2") as string;
    expect(await refused(group, code)).toMatchObject({ error: { group: "internal", code: "error", message, retryable: false, ran: "yes" } });
    expect(seen.at(-1)).toMatchObject({ group, code });
  }
  expect(await refused("kv", "quota_exceeded")).toMatchObject({ error: { group: "kv", code: "quota_exceeded", message: "hunter2", ran: "yes" } });
});

it("fails when the actor has stopped", async () => {
  const stage = await stageOf();
  stage.port.onSend = undefined;
  const read = kv.get("a");
  stage.stop("fenced");
  await expect(read).rejects.toThrow("stopped");
  await expect(kv.put("a", "1")).rejects.toThrow("stopped");
  await expect(kv.get("a")).rejects.toThrow("stopped");
});
