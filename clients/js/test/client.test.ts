import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ActorError, createClient } from "../src/index.ts";
import type { Examples as Registry } from "./actors.ts";
import { bin, startGateway } from "./gateway.ts";
import type { Gateway } from "./gateway.ts";
import { eventually, unique } from "./tools.ts";


let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway({ runner: [bin("examples")] });
});

afterAll(() => gateway?.stop());

describe.each(["proto", "json"] as const)("in %s", (encoding) => {
  const client = () => createClient<Registry>({ endpoint: gateway.url, encoding });

  test("calls without connection, arguments and results", async () => {
    const c = client();
    const counter = c.counter.getOrCreate(unique("calls"));
    expect(await counter.increment(2)).toBe(2);
    expect(await counter.increment(40)).toBe(42);
    expect(await counter.getCount()).toBe(42);
    expect(await Promise.all(Array.from({ length: 100 }, () => counter.increment(1)))).toStrictEqual(Array.from({ length: 100 }, (_, i) => 43 + i));
    await c.dispose();
  });

  test("a connection gets the events, in order with the results of its calls", async () => {
    const c = client();
    const conn = c.counter.getOrCreate(unique("events")).connect();
    const seen: string[] = [];
    conn.on("count", (n) => seen.push(`event ${n}`));
    await Promise.all([1, 2, 3].map(async () => seen.push(`result ${await conn.increment(1)}`)));
    expect(seen).toStrictEqual(["event 1", "result 1", "event 2", "result 2", "event 3", "result 3"]);
    expect(conn.isConnected).toBe(true);
    await c.dispose();
  });

  test("create gives a handle for the id; a second one is refused", async () => {
    const c = client();
    const key = unique("create");
    const counter = await c.counter.create(key);
    await counter.increment(7);
    const id = await counter.resolve();
    expect(await c.counter.getOrCreate(key).resolve()).toBe(id);
    expect(await c.counter.getForId(id).getCount()).toBe(7);
    const error = await c.counter.create(key).catch((error: unknown) => error);
    expect(error).toMatchObject({ group: "actor", code: "duplicate_key", metadata: { id }, ran: "no" });
    await c.dispose();
  });

  test("get of an actor that does not exist fails at its use", async () => {
    const c = client();
    const counter = c.counter.get(unique("missing"));
    for (const use of [() => counter.getCount(), () => counter.resolve(), () => counter.connect().getCount()]) {
      const error = await use().catch((error: unknown) => error);
      expect(error).toBeInstanceOf(ActorError);
      expect(error).toMatchObject({ group: "actor", code: "not_found", retryable: false, ran: "no" });
      expect(String(error)).toContain("actor.not_found");
      expect((error as ActorError).message).not.toContain("actor.not_found");
    }
    await c.dispose();
  });

  test("an action that does not exist, and a type that does not", async () => {
    const c = client();
    const counter = c.counter.getOrCreate(unique("unknown"));
    await expect(counter.action({ name: "nothing" })).rejects.toMatchObject({ group: "actor", code: "action_not_found", ran: "no" });
    const wrong = (c as unknown as { nobody: typeof c.counter }).nobody.getOrCreate("x");
    await expect(wrong.getCount()).rejects.toMatchObject({ group: "actor", code: "type_not_found" });
    await c.dispose();
  });

  test("errors of an application, and params", async () => {
    const c = client();
    const room = c.chat.getOrCreate(unique("room"), { params: { name: "ann" } });
    await expect(room.send("hello")).rejects.toMatchObject({ group: "user", code: "not_in_room", message: "connect to the room first", ran: "yes" });
    const ann = room.connect();
    const bob = room.connect({ name: "bob" });
    const heard: unknown[] = [];
    bob.on("message", (message) => heard.push(message));
    bob.on("joined", (name) => heard.push(name));
    await bob.members();
    await ann.send("hi");
    await eventually(() => expect(heard).toContainEqual({ from: "ann", text: "hi" }));
    expect((await room.members()).sort()).toStrictEqual(["ann", "bob"]);
    expect(await room.history()).toStrictEqual([{ from: "ann", text: "hi" }]);
    await bob.dispose();
    await eventually(async () => expect(await room.members()).toStrictEqual(["ann"]));
    await c.dispose();
  });

  test("a connection that the actor refuses is over, and says why", async () => {
    const c = client();
    const conn = c.chat.getOrCreate(unique("refused")).connect({ name: "" });
    const told: unknown[] = [];
    conn.onError((error) => told.push(["error", error.code]));
    conn.onStatusChange((status) => told.push(["status", status]));
    const reason = new Promise((resolve) => conn.onClose(resolve));
    await expect(conn.send("x")).rejects.toMatchObject({ group: "connection", code: "rejected", ran: "no" });
    expect(await reason).toMatchObject({ group: "connection", code: "rejected" });
    expect(conn.connStatus).toBe("idle");
    await expect(conn.send("x")).rejects.toMatchObject({ code: "rejected" });
    expect(told).toStrictEqual([["error", "rejected"], ["status", "idle"]]);
    await c.dispose();
  });

  test("getParams is asked for each opening; what it throws is told, and it is asked again", async () => {
    const c = createClient<Registry>({ endpoint: gateway.url, encoding, backoffMinMs: 1, backoffMaxMs: 1 });
    let asked = 0;
    const getParams = async () => {
      await Promise.resolve();
      if (++asked === 1) throw new Error("no token yet");
      return { name: `try ${asked}` };
    };
    const room = c.chat.getOrCreate(unique("getParams"), { getParams });
    const conn = room.connect();
    const errors: string[] = [];
    conn.onError((error) => errors.push(error.message));
    expect(await conn.members()).toStrictEqual(["try 2"]);
    expect(errors).toStrictEqual(["getParams failed: no token yet"]);
    await c.dispose();
  });

  test("events: once, off, and one that the type does not declare", async () => {
    const c = client();
    const conn = c.counter.getOrCreate(unique("subscriptions")).connect();
    const seen: unknown[] = [];
    const errors: ActorError[] = [];
    conn.onError((error) => errors.push(error));
    conn.once("count", (n) => seen.push(["once", n]));
    const off = conn.on("count", (n) => seen.push(["on", n]));
    (conn as unknown as { on(name: string, handler: () => void): void }).on("undeclared", () => {});
    await conn.increment(1);
    await conn.increment(1);
    off();
    off();
    await conn.increment(1);
    expect(seen).toStrictEqual([["once", 1], ["on", 1], ["on", 2]]);
    await eventually(() => expect(errors).toHaveLength(1));
    expect(errors[0]).toMatchObject({ group: "event", code: "not_found" });
    conn.on("count", (n) => seen.push(["again", n]));
    await conn.increment(1);
    expect(seen.at(-1)).toStrictEqual(["again", 4]);
    await c.dispose();
  });

  test("arguments that cannot be sent name the place", async () => {
    const c = client();
    const counter = c.counter.getOrCreate(unique("args"));
    const error = await counter.action({ name: "increment", args: [1, { deep: [() => 1] }] }).catch((error: unknown) => error);
    expect(error).toMatchObject({ group: "request", code: "invalid_payload", ran: "no" });
    expect((error as ActorError).message).toContain("args[1].deep[0]");
    expect((error as ActorError).cause).toMatchObject({ name: "NotStorableError", path: "args[1].deep[0]" });
    const typed = await counter.action({ name: "nothing", args: [{ f: new Float32Array(1) }] }).catch((error: unknown) => error);
    if (encoding === "proto") expect(typed).toMatchObject({ code: "action_not_found" });
    else expect(typed).toMatchObject({ code: "invalid_payload", cause: { path: "args[0].f" } }); // JSON has no form for it
    const conn = c.chat.getOrCreate(unique("args")).connect({ name: (() => 1) as never });
    await expect(conn.members()).rejects.toMatchObject({ group: "request", code: "invalid_payload" });
    await expect(c.counter.getOrCreate("x", { createWithInput: Symbol() }).getCount()).rejects.toMatchObject({ code: "invalid_payload" });
    await c.dispose();
  });

  test("keys, arguments and names of wrong types are refused at the use, as by the compiler", async () => {
    const c = client();
    for (const key of [42, [42], {}, [null], true]) {
      const counter = c.counter.getOrCreate(key as never);
      for (const use of [() => counter.getCount(), () => counter.connect().getCount(), () => counter.resolve(), () => c.counter.create(key as never)]) {
        await expect(use()).rejects.toMatchObject({ group: "request", code: "invalid_address", ran: "no" });
      }
    }
    const counter = c.counter.getOrCreate(unique("wrong"));
    for (const request of [{ name: "increment", args: "12" }, { name: "increment", args: { length: 1 } }, { name: 1 }, { name: "" }, { name: "getCount", timeoutMs: 0 }]) {
      await expect(counter.action(request as never)).rejects.toMatchObject({ group: "request", code: "invalid", ran: "no" });
    }
    await c.dispose();
  });

  test("what is larger than the gateway takes costs only itself", async () => {
    const c = client();
    const counter = c.counter.getOrCreate(unique("large"));
    await counter.increment(1);
    await expect(counter.action({ name: "increment", args: ["x".repeat(1 << 20)] })).rejects.toMatchObject({ group: "request", code: "too_large", ran: "no" });
    expect(await counter.increment(1)).toBe(2);
    await c.dispose();
  });

  test("more than a socket takes at once", async () => {
    const c = client();
    const conn = c.counter.getOrCreate(unique("many bytes")).connect();
    const text = "x".repeat(300_000);
    const errors = await Promise.all(Array.from({ length: 40 }, () => conn.action({ name: "nothing", args: [text] }).catch((error: unknown) => error)));
    for (const error of errors) expect(error).toMatchObject({ group: "actor", code: "action_not_found" });
    expect(await conn.increment(1)).toBe(1);
    await c.dispose();
  });

  test("an AbortSignal gives a call up", async () => {
    const c = client();
    const counter = c.counter.getOrCreate(unique("abort"));
    const before = AbortSignal.abort();
    await expect(counter.action({ name: "increment", args: [1], signal: before })).rejects.toMatchObject({ group: "action", code: "canceled", ran: "no" });
    const controller = new AbortController();
    const pending = counter.action({ name: "increment", args: [1], signal: controller.signal });
    controller.abort();
    await expect(pending).rejects.toMatchObject({ group: "action", code: "canceled", ran: "no" }); // it was not sent yet
    expect(await counter.getCount()).toBe(0);
    const sent = new AbortController();
    const running = counter.action({ name: "increment", args: [1], signal: sent.signal });
    await Promise.resolve();
    await Promise.resolve();
    sent.abort();
    await expect(running).rejects.toMatchObject({ group: "action", code: "canceled", ran: "maybe" });
    await c.dispose();
  });

  test("a disposed connection, and a disposed client", async () => {
    const c = client();
    const handle = c.counter.getOrCreate(unique("disposed"));
    const conn = handle.connect();
    await conn.getCount();
    const statuses: string[] = [];
    conn.onStatusChange((status) => statuses.push(status));
    const reason = new Promise((resolve) => conn.onClose(resolve));
    await conn.dispose();
    await conn.dispose();
    await expect(conn.getCount()).rejects.toMatchObject({ group: "connection", code: "closed", ran: "no" });
    expect(await reason).toBeUndefined();
    expect(statuses).toStrictEqual(["idle"]);
    const other = handle.connect();
    await other.getCount();
    const pending = other.getCount();
    await c.dispose();
    await expect(pending).rejects.toMatchObject({ group: "client", code: "closed" });
    for (const use of [() => handle.getCount(), () => other.getCount(), () => handle.resolve(), () => c.counter.create("y"), () => handle.connect().getCount()]) {
      await expect(use()).rejects.toMatchObject({ group: "client", code: "closed" });
    }
  });

  test("a region is refused, not passed over", async () => {
    const c = client();
    const expected = { group: "request", code: "unsupported", ran: "no" };
    const counter = c.counter.getOrCreate("r", { createInRegion: "eu" });
    await expect(counter.getCount()).rejects.toMatchObject(expected);
    await expect(counter.connect().getCount()).rejects.toMatchObject(expected);
    await expect(counter.resolve()).rejects.toMatchObject(expected);
    await expect(c.counter.create("r", { region: "eu" })).rejects.toMatchObject(expected);
    await c.dispose();
  });

  test("keys are told apart", async () => {
    const c = client();
    const run = unique("key");
    const keys = [[run], [run, ""], [run, "a", "b"], [run, "a,b"], [run, "a/b"], [run, "a:b"], [run, "…/ü"]];
    for (const [i, key] of keys.entries()) await c.counter.getOrCreate(key).increment(i + 1);
    expect(await Promise.all(keys.map((key) => c.counter.get(key).getCount()))).toStrictEqual(keys.map((_, i) => i + 1));
    for (const key of keys) expect(await c.counter.get(key).resolve()).toMatch(/^local-/);
    await c.dispose();
  });
});
