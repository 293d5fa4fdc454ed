// The actors of the tests against a real gateway; also what e2e-process.ts hosts in a process of its own.
import { actor } from "../src/actor/actor.ts";
import { UserError } from "../src/error.ts";

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export const counter = actor({
  createState: (_, input: { start: number } | undefined) => ({ count: input?.start ?? 0 }),
  actions: {
    increment: (c, by = 1) => {
      c.state.count += by;
      c.broadcast("count", c.state.count);
      return c.state.count;
    },
    get: (c) => c.state.count,
    set: (c, count: number) => void (c.state = { count }),
    whoami: (c) => ({ id: c.actorId, name: c.name, key: c.key, region: c.region }),
    fail: () => {
      throw new Error("a secret");
    },
    refuse: () => {
      throw new UserError("no", { code: "nope", metadata: { why: new Set([1]) } });
    },
    sleep: (c) => c.sleep(),
    destroy: (c) => c.destroy(),
    slow: (_, ms: number) => after(ms),
    saved: async (c) => {
      c.state.count++;
      await c.saveState({ immediate: true });
      return c.state.count;
    },
  },
});

export const values = actor({
  createState: (): { value: unknown } => ({ value: undefined }),
  actions: {
    put: (c, value: unknown) => {
      c.state.value = value;
      return value;
    },
    get: (c) => c.state.value,
    sleep: (c) => c.sleep(),
    echo: (_, ...args: unknown[]) => args,
    unstorable: (c) => void (c.state.value = { list: [() => 0] }),
  },
});

export const room = actor({
  state: { log: [] as string[] },
  createConnState: (_, params: { name: string } | undefined) => {
    if (params?.name === "nobody") throw new UserError("who?", { code: "unnamed" });
    return { name: params?.name ?? "", calls: 0 };
  },
  onConnect: (c, conn) => {
    c.state.log.push(`+${conn.state.name}`);
    conn.send("welcome", conn.state.name, c.conns.size);
  },
  onDisconnect: (c, conn) => {
    c.state.log.push(`-${conn.state.name}`);
    c.broadcast("left", conn.state.name);
  },
  actions: {
    say: (c, text: string) => {
      c.broadcast("message", c.conn?.state.name, text);
      return c.conns.size;
    },
    whisper: (c, to: string, text: string) => {
      for (const conn of c.conns.values()) if (conn.state.name === to) conn.send("message", c.conn?.state.name, text);
    },
    calls: (c) => (c.conn ? ++c.conn.state.calls : -1),
    kick: async (c, name: string) => {
      for (const conn of c.conns.values()) if (conn.state.name === name) await conn.disconnect("out");
    },
    log: (c) => c.state.log,
    names: (c) => [...c.conns.values()].map((conn) => conn.state.name),
    sleep: (c) => c.sleep(),
  },
});

export const store = actor({
  state: {},
  actions: {
    put: async (c, entries: [string, string][]) => {
      await c.kv.batchPut(entries);
      return c.kv.list("");
    },
    fill: (c, count: number, size: number) =>
      c.kv.batchPut(Array.from({ length: count }, (_, i) => [`m${String(i).padStart(4, "0")}`, "x".repeat(size)] as const)),
    get: (c, key: string) => c.kv.get(key),
    list: (c, prefix: string, limit?: number) => c.kv.list(prefix, limit === undefined ? {} : { limit }).then((list) => list.map(([key]) => key)),
    deleteRange: (c, from: string, until: string) => c.kv.deleteRange(from, until),
    sleep: (c) => c.sleep(),
  },
});

export const actors = { counter, values, room, store };
