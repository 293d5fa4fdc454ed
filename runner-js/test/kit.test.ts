import { actor, event, setup, UserError } from "stagedoor";
import { setupTest } from "stagedoor/test";
import { expect, test, vi } from "vitest";

const counter = actor({
  state: { count: 0 },
  events: { count: event<number>() },
  actions: {
    increment: (c, amount: number) => {
      if (amount < 0) throw new UserError("only upwards", { code: "negative", metadata: { amount } });
      c.state.count += amount;
      c.broadcast("count", c.state.count);
      return c.state.count;
    },
    nested: { get: (c) => c.state.count },
  },
});
const adder = actor({
  state: { sum: 0 },
  actions: {
    add: async (c, key: string, n: number): Promise<number> => {
      c.state.sum += n;
      const client = c.client<typeof registry>();
      await client.counter.getOrCreate([key]).increment(n);
      return client.counter.get([key]).nested.get();
    },
  },
});
const registry = setup({ use: { counter, adder } });

test("hosts the actors behind a gateway of the test's own", async (t) => {
  const { client } = await setupTest(t, registry);
  const handle = client.counter.getOrCreate(["a"]);
  expect(await handle.increment(2)).toBe(2);
  expect(await handle.nested.get()).toBe(2);
  await expect(handle.increment(-1)).rejects.toMatchObject({ group: "user", code: "negative", message: "only upwards", metadata: { amount: -1 } });

  const conn = handle.connect();
  const counted = new Promise<number>((resolve) => conn.once("count", resolve));
  await conn.increment(3);
  expect(await counted).toBe(5);
});

test("actors call each other through c.client()", async (t) => {
  const { client } = await setupTest(t, registry);
  expect(await client.adder.getOrCreate(["x"]).add("b", 4)).toBe(4);
});

test("has nothing of the environment's gateway: neither its store nor its tokens", async (t) => {
  vi.stubEnv("STAGEDOOR_STORE", "redis://127.0.0.1:1");
  vi.stubEnv("STAGEDOOR_CLIENT_TOKEN", "of somebody");
  vi.stubEnv("STAGEDOOR_TOKEN", "of somebody");
  t.onTestFinished(() => void vi.unstubAllEnvs());
  const { client } = await setupTest(t, registry);
  expect(await client.counter.getOrCreate(["a"]).increment(1)).toBe(1);
});

test("takes the context of node:test", async () => {
  const done: (() => Promise<void>)[] = [];
  const { client, endpoint } = await setupTest({ after: (f: () => Promise<void>) => void done.push(f) }, registry);
  expect(await client.counter.getOrCreate(["a"]).increment(1)).toBe(1);
  for (const f of done) await f();
  await expect(fetch(`${endpoint}/healthz`)).rejects.toThrow();
});
