import { describe, expect, it } from "vitest";
import { actor } from "../src/actor/actor.ts";
import { actors } from "./e2e-actors.ts";
import { call, client, gateway, runner, runnerProcess, until } from "./e2e-world.ts";

describe("an actor behind a real gateway", () => {
  it("is created with its input, once, and keeps its state over sleep and wake", async () => {
    const g = await gateway();
    const r = await runner(g, actors);
    const c = client(g);
    const handle = c.counter.getOrCreate(["a"], { createWithInput: { start: 5 } });
    expect(await handle.increment(2)).toBe(7);
    expect(await handle.whoami()).toMatchObject({ id: await handle.resolve(), name: "counter", key: ["a"] });
    await handle.sleep();
    await until(() => r.host.size === 0);
    expect(await c.counter.getOrCreate(["a"], { createWithInput: { start: 100 } }).get()).toBe(7);
    await handle.set(-1);
    expect(await handle.saved()).toBe(0);
  });

  it("of a missing key is not found, and of a missing action says so", async () => {
    const g = await gateway();
    await runner(g, actors);
    expect((await call(g, "counter:x", "missing")).error).toMatchObject({ group: "actor", code: "action_not_found" });
    await expect(client(g).counter.get(["none"]).get()).rejects.toMatchObject({ group: "actor", code: "not_found" });
  });

  it("tells user errors as they stand, and nothing of others", async () => {
    const g = await gateway();
    await runner(g, actors);
    const handle = client(g).counter.getOrCreate("e");
    await expect(handle.refuse()).rejects.toMatchObject({ group: "user", code: "nope", message: "no", metadata: { why: new Set([1]) } });
    await expect(handle.fail()).rejects.toMatchObject({ group: "internal", code: "error" });
    const broken = client(g).values.getOrCreate("e");
    await expect(broken.unstorable()).rejects.toMatchObject({ group: "internal", code: "error" });
    expect(await broken.get()).toBe(undefined);
  });

  it("that cannot start tells its callers why, and leaves no trace", async () => {
    const g = await gateway();
    const failing = actor({ createState: () => { throw new Error("broken"); }, actions: { get: () => 1 } });
    await runner(g, { failing });
    expect((await call(g, "failing:x", "get")).error).toMatchObject({ code: "start_failed" });
  });

  it("is destroyed with all that it has; its key can be created again", async () => {
    const g = await gateway();
    const r = await runner(g, actors);
    const c = client(g);
    const handle = c.counter.getOrCreate("d");
    await handle.increment(3);
    const id = await handle.resolve();
    await handle.destroy();
    await until(() => r.host.size === 0);
    await expect(c.counter.getForId(id).get()).rejects.toMatchObject({ group: "actor" });
    expect(await handle.get()).toBe(0);
    expect(await handle.resolve()).not.toBe(id);
  });

  it("keeps values of every kind, also over a sleep", async () => {
    const g = await gateway();
    const r = await runner(g, actors);
    const handle = client(g).values.getOrCreate("v");
    const kinds = [
      undefined, null, true, -0, Number.NaN, Number.NEGATIVE_INFINITY, 2 ** 53, 0.1, 12345678901234567890n, "é😀", new Date(1.5e12), new Map<unknown, unknown>([["a", new Map([[1, 2]])]]),
      new Set(["x", 1]), new Uint8Array([0, 255]), { a: { b: [undefined, {}] }, u: undefined }, "x".repeat(500_000), new Float64Array([0.5]),
    ];
    for (const value of kinds) expect(await handle.put(value)).toStrictEqual(value);
    expect(await handle.echo(...kinds)).toStrictEqual(kinds);
    await handle.put(kinds);
    await handle.sleep();
    await until(() => r.host.size === 0);
    expect(await handle.get()).toStrictEqual(kinds);
  });

  it("has a KV store that is as durable as its state", async () => {
    const g = await gateway();
    const r = await runner(g, actors);
    const handle = client(g).store.getOrCreate("kv");
    expect(await handle.put([["b", "2"], ["a", "1"]])).toEqual([["a", "1"], ["b", "2"]]);
    await handle.sleep();
    await until(() => r.host.size === 0);
    expect(await handle.get("a")).toBe("1");
    await handle.fill(1000, 3000);
    const keys = Array.from({ length: 1000 }, (_, i) => `m${String(i).padStart(4, "0")}`);
    expect(await handle.list("m")).toEqual(keys);
    expect(await handle.list("m09", 3)).toEqual(["m0900", "m0901", "m0902"]);
    await handle.deleteRange("m", "m0999");
    expect(await handle.list("")).toEqual(["a", "b", "m0999"]);
  });

  it("answers in the order in which it was called on a connection, and does not mix with others", async () => {
    const g = await gateway();
    await runner(g, actors);
    const c = client(g);
    const results = await Promise.all(Array.from({ length: 500 }, () => c.counter.getOrCreate("many").increment()));
    expect(results.sort((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
    const conn = c.counter.getOrCreate("ordered").connect();
    expect(await Promise.all(Array.from({ length: 100 }, () => conn.increment()))).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });
});

describe("a runner", () => {
  it("that stops hands its actors over to a newer one", async () => {
    const g = await gateway();
    const old = await runnerProcess(g, 1);
    const c = client(g);
    const conn = c.room.getOrCreate("r").connect({ name: "ann" });
    const heard: unknown[] = [];
    conn.on("message", (name, text) => heard.push([name, text]));
    await conn.say("one");
    await runnerProcess(g, 2);
    expect(await old.stop()).toBe(0);
    await conn.say("two");
    expect(heard).toEqual([["ann", "one"], ["ann", "two"]]);
    expect(await conn.log()).toEqual(["+ann"]);
  });

  it("that is killed loses nothing that was acknowledged; its connections go on with the next", async () => {
    const g = await gateway();
    const killed = await runnerProcess(g);
    const c = client(g);
    const handle = c.counter.getOrCreate("k");
    for (let i = 0; i < 5; i++) await handle.increment();
    const conn = c.room.getOrCreate("k").connect({ name: "ann" });
    expect(await conn.calls()).toBe(1);
    await killed.kill();
    await runnerProcess(g);
    const next = async (): Promise<number> => handle.increment().catch((error: { ran: string }) => (error.ran === "yes" ? Promise.reject(error as unknown as Error) : next()));
    expect(await next()).toBeGreaterThanOrEqual(6);
    expect(await conn.calls()).toBe(2);
    expect(await conn.log()).toEqual(["+ann"]);
  });
});
