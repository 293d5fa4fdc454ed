// The whole runner behind a link that breaks: real actors, a real gateway, a real client.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@stagedoor/client";
import { expect, test } from "vitest";
import { actor } from "../src/actor/actor.ts";
import { createHost } from "../src/host/index.ts";
import { runLink } from "../src/link/index.ts";
import { linesOf } from "./e2e-world.ts";
import { atEnd, freePort, gateway, proxy } from "./link-world.ts";
import { until } from "./link-echo.ts";

let starts = 0;

const room = actor({
  state: { count: 0, said: [] as string[] },
  createVars: () => ({ life: ++starts, last: "" }),
  onConnect: (c, conn) => {
    conn.send("welcome", conn.id);
  },
  onDisconnect: (c) => {
    c.vars.last = "left";
  },
  actions: {
    increment: (c) => ++c.state.count,
    slow: async (c) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return ++c.state.count;
    },
    say: (c, text: string) => {
      c.state.said.push(text);
      c.broadcast("said", text, c.state.said.length);
    },
    shout: (c, n: number, size: number) => {
      for (let i = 0; i < n; i++) c.broadcast("shout", i, "x".repeat(size));
    },
    count: (c) => c.state.count,
    life: (c) => c.vars.life,
    left: (c) => c.vars.last,
  },
});

interface Registry {
  config: { use: { room: typeof room } };
}

async function run(endpoint: string) {
  const log = linesOf();
  const stop = new AbortController();
  let onReady!: () => void;
  const ready = new Promise<void>((resolve) => (onReady = resolve));
  const host = createHost({ room }, { log });
  const done = runLink({ endpoint, host, log, signal: stop.signal, drainTimeoutMs: 5000, onReady });
  atEnd(() => {
    stop.abort();
    return done.catch(() => undefined);
  });
  await Promise.race([ready, done]);
  return { log, stop, done };
}

function client(url: string) {
  const c = createClient<Registry>(url);
  atEnd(() => c.dispose());
  return c;
}

async function flaky() {
  const port = await freePort();
  const g = await gateway({ args: ["--runner-listen", `tcp://127.0.0.1:${port}`] });
  const p = await proxy(port);
  const { log } = await run(`tcp://127.0.0.1:${p.port}`);
  return { g, p, log };
}

test("calls and events cross sockets that break: none is lost, none comes twice [LINK-16]", async () => {
  const { g, p } = await flaky();
  const handle = client(g.url).room.getOrCreate(["a"]);
  const conn = handle.connect();
  const said: unknown[][] = [];
  conn.on("said", (...args: unknown[]) => said.push(args));
  const life = await conn.life();
  const counted: number[] = [];
  const work = async () => {
    for (let i = 0; i < 50; i++) {
      counted.push(await (i % 2 === 0 ? conn.increment() : conn.slow()));
      await conn.say(`${counted.length}`);
    }
  };
  const cutter = async () => {
    for (let at = 20; at < 200; at += 30) {
      await until("progress", () => counted.length >= Math.min(at, 195));
      p.cut();
    }
  };
  await Promise.all([work(), work(), work(), work(), cutter()]);
  expect(counted.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  await until("all events", () => said.length >= 200);
  expect(said.map((args) => args[1])).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  expect(await conn.life()).toBe(life);
  expect(p.sockets).toBeGreaterThan(4);
});

test("a gateway that is killed under load finds the actors as they were: what was answered is there, memory too [LEASE-4]", async () => {
  const data = mkdtempSync(join(tmpdir(), "stagedoor-link-"));
  atEnd(() => rmSync(data, { recursive: true, force: true }));
  let g = await gateway({ data });
  await run(g.url);
  const handles = Array.from({ length: 8 }, (_, i) => client(g.url).room.getOrCreate([`k${i}`]));
  const lives = await Promise.all(handles.map((h) => h.life()));
  const answered = handles.map(() => 0);
  let working = true;
  const work = handles.map(async (h, i) => {
    while (working) answered[i] = Math.max(answered[i]!, await h.increment().catch(() => 0));
  });
  await until("some work", () => answered.every((n) => n > 5));
  await g.kill();
  working = false;
  g = await gateway({ data, port: g.port });
  await Promise.all(work);
  for (const [i, h] of handles.entries()) {
    expect(await h.count()).toBeGreaterThanOrEqual(answered[i]!);
    expect(await h.life()).toBe(lives[i]);
    const before = await h.count();
    expect(await h.increment()).toBe(before + 1);
  }
});

test("connections that ended with the gateway are told to the actors that it adopts [LEASE-4]", async () => {
  const data = mkdtempSync(join(tmpdir(), "stagedoor-link-"));
  atEnd(() => rmSync(data, { recursive: true, force: true }));
  const g = await gateway({ data });
  await run(g.url);
  const c = client(g.url);
  const conn = c.room.getOrCreate(["a"]).connect();
  const life = await conn.life();
  await g.kill();
  await conn.dispose();
  await c.dispose();
  const again = await gateway({ data, port: g.port });
  const handle = client(again.url).room.getOrCreate(["a"]);
  while ((await handle.left()) !== "left") await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await handle.life()).toBe(life);
});

test("events wait for credit, in order, and other actors go on [LINK-18] [GATE-4]", async () => {
  const g = await gateway({ args: ["--limit-event-window", "65536", "--limit-link-window", "131072", "--limit-max-event", "8192"] });
  await run(g.url);
  const c = client(g.url);
  const conns = ["a", "b", "c"].map((key) => c.room.getOrCreate([key]).connect());
  const got = conns.map((conn) => {
    const events: number[] = [];
    conn.on("shout", (n: number) => events.push(n));
    return events;
  });
  await Promise.all(conns.map((conn) => conn.count()));
  await Promise.all(conns.map((conn) => conn.shout(400, 4000)));
  await until("all events", () => got.every((events) => events.length === 400));
  for (const events of got) expect(events).toEqual(Array.from({ length: 400 }, (_, i) => i));
});

test("a drained runner hands over to another one: no call fails [LINK-10]", async () => {
  const g = await gateway();
  const first = await run(g.url);
  const handle = client(g.url).room.getOrCreate(["a"]);
  const conn = handle.connect();
  await conn.increment();
  let working = true;
  const answers: number[] = [];
  const work = (async () => {
    while (working) answers.push(await conn.increment());
  })();
  await run(g.url);
  first.stop.abort();
  await first.done;
  const before = answers.length;
  await until("calls behind the hand-over", () => answers.length > before + 10);
  working = false;
  await work;
  expect(answers).toEqual(Array.from({ length: answers.length }, (_, i) => i + 2));
});

