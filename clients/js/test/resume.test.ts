import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../src/index.ts";
import type { ClientOptions } from "../src/index.ts";
import type { Examples } from "./actors.ts";
import { startCutter } from "./cutter.ts";
import type { Cutter } from "./cutter.ts";
import { bin, startGateway } from "./gateway.ts";
import type { Gateway } from "./gateway.ts";
import { eventually, seeded, unique } from "./tools.ts";

let gateway: Gateway;
let cutter: Cutter;

beforeAll(async () => {
  gateway = await startGateway({ runner: [bin("examples")] });
  cutter = await startCutter(gateway.port);
});

beforeEach(() => {
  cutter.cutAfter(undefined);
  cutter.mute(false);
});

afterAll(async () => {
  await cutter?.stop();
  await gateway?.stop();
});

const quick = { backoffMinMs: 1, backoffMaxMs: 5 };
const client = (options: ClientOptions = {}) => createClient<Examples>({ endpoint: cutter.url, ...quick, ...options });

describe.each(["proto", "json"] as const)("in %s", (encoding) => {
  test("a session goes on over another socket; the actor has not noticed", async () => {
    const c = client({ encoding });
    const conn = c.chat.getOrCreate(unique("resume")).connect({ name: "ann" });
    const statuses: string[] = [];
    let opened = 0;
    conn.onStatusChange((status) => statuses.push(status));
    conn.onOpen(() => opened++);
    const heard: string[] = [];
    conn.on("message", ({ text }) => heard.push(text));
    conn.on("left", () => heard.push("left"));
    await conn.send("one");
    cutter.cut();
    await conn.send("two");
    expect(heard).toStrictEqual(["one", "two"]);
    expect(opened).toBe(1);
    expect(statuses).toStrictEqual(["connected", "disconnected", "connected"]);
    await c.dispose();
  });

  test("nothing is lost or doubled, wherever the sockets are cut [SESS-15]", async () => {
    const random = seeded(encoding === "proto" ? 1 : 2);
    const c = client({ encoding });
    const counters = [0, 1, 2].map((i) => c.counter.getOrCreate(unique(`cut ${i}`)).connect());
    const events: number[][] = counters.map(() => []);
    counters.forEach((conn, i) => conn.on("count", (n) => events[i]!.push(n)));
    const results: number[][] = counters.map(() => []);
    cutter.cutAfter(() => 400 + random() * 6000);
    const before = cutter.made;
    const each = 300;
    await Promise.all(
      counters.flatMap((conn, i) =>
        Array.from({ length: 4 }, async () => {
          for (let n = 0; n < each / 4; n++) results[i]!.push(await conn.increment(1));
        }),
      ),
    );
    const expected = Array.from({ length: each }, (_, i) => i + 1);
    for (const list of results) expect(list.sort((a, b) => a - b)).toStrictEqual(expected);
    for (const list of events) expect(list).toStrictEqual(expected);
    expect(cutter.made - before).toBeGreaterThan(5);
    await c.dispose();
  });

  test("connections that come and go while sockets are cut", async () => {
    const random = seeded(encoding === "proto" ? 3 : 4);
    const c = client({ encoding });
    cutter.cutAfter(() => 500 + random() * 4000);
    const key = unique("coming and going");
    await Promise.all(
      Array.from({ length: 8 }, async (_, lane) => {
        for (let n = 0; n < 10; n++) {
          const conn = c.chat.getOrCreate(key).connect({ name: `${lane}.${n}` });
          expect(await conn.members()).toContain(`${lane}.${n}`);
          await conn.dispose();
        }
      }),
    );
    cutter.cutAfter(undefined);
    await eventually(async () => expect(await c.chat.get(key).members()).toStrictEqual([]));
    await c.dispose();
  });
});

test("calls without connection go on, too", async () => {
  const random = seeded(5);
  const c = client();
  cutter.cutAfter(() => 2000 + random() * 20_000); // more than one message
  const counter = c.counter.getOrCreate(unique("stateless"));
  const results = await Promise.all(Array.from({ length: 200 }, () => counter.increment(1)));
  expect(results.sort((a, b) => a - b)).toStrictEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  await c.dispose();
});

test("subscriptions that change without a socket are made up for", async () => {
  const c = client();
  const conn = c.counter.getOrCreate(unique("changes")).connect();
  const seen: unknown[] = [];
  const off = conn.on("count", (n) => seen.push(["first", n]));
  await conn.increment(1);
  const down = new Promise<void>((resolve) => conn.onStatusChange((status) => status === "disconnected" && resolve()));
  cutter.cut();
  await down;
  off();
  await conn.increment(1);
  conn.on("count", (n) => seen.push(["second", n]));
  await conn.increment(1);
  expect(seen).toStrictEqual([["first", 1], ["second", 3]]);
  await c.dispose();
});

test("a session that nobody could resume is over: its calls may have run, its connections open again", async () => {
  const short = await startGateway({ args: ["--resume-wait", "1s"], runner: [bin("examples")] });
  const relay = await startCutter(short.port);
  const c = createClient<Examples>({ endpoint: relay.url, ...quick });
  const conn = c.chat.getOrCreate(unique("lost")).connect({ name: "ann" });
  let opened = 0;
  conn.onOpen(() => opened++);
  const heard: string[] = [];
  conn.on("message", ({ text }) => heard.push(text));
  await conn.send("one");
  relay.mute(true); // what is sent now never arrives
  const lost = conn.send("two").catch((error: unknown) => error);
  const down = new Promise<void>((resolve) => conn.onStatusChange((status) => status === "disconnected" && resolve()));
  relay.cut();
  await down;
  expect(await lost).toMatchObject({ group: "session", code: "lost", ran: "maybe", retryable: true });
  relay.mute(false);
  relay.cut();
  await conn.send("three");
  expect(opened).toBe(2);
  expect(heard).toStrictEqual(["one", "three"]);
  await c.dispose();
  await relay.stop();
  await short.stop();
});
