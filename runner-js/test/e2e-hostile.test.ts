// What the gateway makes of the unusual: the real one, not the one that the host's tests play.
import { expect, it } from "vitest";
import { actor } from "../src/actor/actor.ts";
import { ActorError } from "../src/error.ts";
import { call, client, gateway, runner, until } from "./e2e-world.ts";

it("an actor that destroys itself while it is handed over is gone, not moved [LIFE-6] [LINK-10]", async () => {
  const g = await gateway();
  let begun = false;
  const room = actor({
    state: { n: 0 },
    actions: {
      add: (c) => ++c.state.n,
      close: async (c) => {
        begun = true;
        await new Promise((resolve) => c.abortSignal.addEventListener("abort", resolve));
        c.destroy();
        return "closed";
      },
    },
  });
  const first = await runner(g, { room });
  expect((await call(g, "room:a", "add")).output).toBe(1);
  const closing = call(g, "room:a", "close");
  await until(() => begun);
  await first.stop();
  expect((await closing).output).toBe("closed");
  const describe = await fetch(`${g.url}/v1/actors/room:a`);
  expect(describe.status).toBe(404);
  await runner(g, { room });
  expect((await call(g, "room:a", "add")).output).toBe(1);
});

it("onCreate may write more than a commit holds [LIMIT-7] [FLUSH-1]", async () => {
  const g = await gateway();
  const shelf = actor({
    createState: () => ({ n: 0 }),
    onCreate: async (c) => {
      for (let i = 0; i < 1500; i++) await c.kv.put(`k${String(i).padStart(4, "0")}`, String(i));
      c.state.n = 1500;
    },
    actions: { count: async (c) => [c.state.n, (await c.kv.list("k")).length] },
  });
  await runner(g, { shelf });
  expect((await call(g, "shelf:a", "count")).output).toEqual([1500, 1500]);
});

it("errors that were made wrong are answered, and cost nobody else anything [ERR-2] [ERR-3]", async () => {
  const g = await gateway();
  const odd = actor({
    state: { n: 0 },
    actions: {
      add: (c) => ++c.state.n,
      fail: (c, how: number) => {
        c.state.n++;
        if (how === 0) throw new ActorError({ group: "user", code: "later", message: "x".repeat(100_000), retryAfterMs: Infinity });
        if (how === 1) throw new ActorError({ group: "user", code: "no name", message: "x" });
        throw new ActorError({ group: "user", code: "later", message: "\ud800", retryAfterMs: -1 });
      },
    },
  });
  const r = await runner(g, { odd });
  expect((await call(g, "odd:other", "add")).output).toBe(1);
  const answers = [];
  for (const how of [0, 1, 2]) answers.push((await call(g, "odd:a", "fail", how)).error);
  expect(answers.map((e) => `${e?.group}.${e?.code}`)).toEqual(["user.later", "internal.error", "user.later"]);
  expect((await call(g, "odd:a", "add")).output).toBe(4);
  expect((await call(g, "odd:other", "add")).output).toBe(2);
  expect(r.host.size).toBe(2);
});

it("what a connection is told comes in the order in which it was said, refusals too [SESS-3]", async () => {
  const g = await gateway();
  const echo = actor({
    state: { n: 0 },
    actions: {
      add: (c) => {
        c.conn?.send("n", ++c.state.n);
        return c.state.n;
      },
    },
  });
  await runner(g, { echo });
  const c = client(g) as unknown as { echo: { getOrCreate(key: string): { connect(): Loose } } };
  interface Loose {
    add(): Promise<number>;
    missing(): Promise<never>;
    on(event: string, f: (n: number) => void): void;
  }
  const conn = c.echo.getOrCreate("a").connect();
  const heard: string[] = [];
  conn.on("n", (n) => heard.push(`event ${n}`));
  await conn.add();
  heard.length = 0;
  const adding = conn.add().then((n) => heard.push(`result ${n}`));
  const missing = conn.missing().catch((error: { code: string }) => heard.push(error.code));
  await Promise.all([adding, missing]);
  expect(heard).toEqual(["event 2", "result 2", "action_not_found"]);
});
