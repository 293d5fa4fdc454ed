import { describe, expect, it } from "vitest";
import { actors } from "./e2e-actors.ts";
import { client, gateway, runner, until } from "./e2e-world.ts";

describe.each(["proto", "json"] as const)("connections of a session in %s", (encoding) => {
  it("get events in order, before the answer that follows them, and only what they subscribed to", async () => {
    const g = await gateway();
    await runner(g, actors);
    const room = client(g, { encoding }).room.getOrCreate("r");
    const heard: unknown[] = [];
    const ann = room.connect({ name: "ann" });
    ann.on("welcome", (...args) => heard.push(["welcome", ...args]));
    ann.on("message", (...args) => heard.push(args));
    const bob = room.connect({ name: "bob" });
    expect(await ann.say("hi")).toBeGreaterThanOrEqual(1);
    expect(heard).toEqual([["welcome", "ann", 1], ["ann", "hi"]]);
    await bob.say("ho");
    await bob.whisper("ann", "psst");
    await bob.whisper("nobody", "psst");
    await ann.say("end");
    expect(heard.slice(2)).toEqual([["bob", "ho"], ["bob", "psst"], ["ann", "end"]]);
    expect(await room.names()).toEqual(["ann", "bob"]);
    expect(await room.say("from nowhere")).toBe(2);
  });

  it("are refused by their hooks, with the hook's code, and do not come back", async () => {
    const g = await gateway();
    await runner(g, actors);
    const conn = client(g, { encoding }).room.getOrCreate("r").connect({ name: "nobody" });
    const reason = await new Promise((resolve) => conn.onClose(resolve));
    expect(reason).toMatchObject({ group: "user", code: "unnamed", message: "who?" });
    expect(conn.connStatus).toBe("idle");
  });

  it("that are disconnected or leave run onDisconnect once", async () => {
    const g = await gateway();
    await runner(g, actors);
    const room = client(g, { encoding }).room.getOrCreate("r");
    const [ann, bob, eve] = ["ann", "bob", "eve"].map((name) => room.connect({ name })) as [ReturnType<typeof room.connect>, ReturnType<typeof room.connect>, ReturnType<typeof room.connect>];
    await Promise.all([ann.calls(), bob.calls(), eve.calls()]);
    const closed = new Promise((resolve) => bob.onClose(resolve));
    await ann.kick("bob");
    expect(await closed).toMatchObject({ group: "connection", code: "disconnected", message: "out" });
    await eve.dispose();
    await until(async () => (await ann.log()).length === 5);
    expect((await ann.log()).sort()).toEqual(["+ann", "+bob", "+eve", "-bob", "-eve"]);
    expect(await ann.names()).toEqual(["ann"]);
  });

  it("stay while the actor sleeps, with their state and subscriptions; those that leave meanwhile are told to the next life", async () => {
    const g = await gateway();
    const r = await runner(g, actors);
    const room = client(g, { encoding }).room.getOrCreate("r");
    const heard: unknown[] = [];
    const ann = room.connect({ name: "ann" });
    const bob = room.connect({ name: "bob" });
    ann.on("message", (...args) => heard.push(args));
    expect([await ann.calls(), await ann.calls(), await bob.calls()]).toEqual([1, 2, 1]);
    await room.sleep();
    await until(() => r.host.size === 0);
    await bob.dispose();
    expect(await ann.calls()).toBe(3);
    await ann.say("awake");
    expect(heard).toEqual([["ann", "awake"]]);
    expect(await room.log()).toEqual(["+ann", "+bob", "-bob"]);
  });
});
