// Sockets that break, gateways that die.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EchoHost, until } from "./link-echo.ts";
import { atEnd, call, freePort, gateway, link, proxy } from "./link-world.ts";

const SAVES = 200;

/** saves calls save as long as there are any, a few at once, and gives the answers in order. */
async function saves(g: { url: string }, n: number, each: (i: number) => void): Promise<number[]> {
  const answers: number[] = [];
  const worker = async (key: string) => {
    for (let i = 0; i < n; i++) {
      answers.push((await call(g, key, "save")) as number);
      each(answers.length);
    }
  };
  await Promise.all(["a", "b", "c", "d"].map(worker));
  return answers.sort((x, y) => x - y);
}

test.each([
  ["", 16 << 20],
  [" with little room for what is not acknowledged", 131_072],
])("a session goes on over other sockets, nothing is lost or doubled%s [LINK-14] [LINK-15] [LINK-16]", async (_, unacked) => {
  const port = await freePort();
  const g = await gateway({ args: ["--runner-listen", `tcp://127.0.0.1:${port}`, "--limit-max-unacked", `${unacked}`] });
  const p = await proxy(port);
  const host = new EchoHost();
  const { log } = await link(`tcp://127.0.0.1:${p.port}`, host);
  const cutAt = new Set([13, 50, 51, 120, 160]);
  const [answers] = await Promise.all([
    saves(g, SAVES / 4, (i) => {
      if (cutAt.has(i)) p.cut();
    }),
    call(g, "e", "big"),
    call(g, "f", "big"),
  ]);
  expect(answers).toEqual(Array.from({ length: SAVES }, (_, i) => Math.floor(i / 4) + 1));
  expect(p.sockets).toBeGreaterThan(3);
  expect(host.events.filter((e) => e !== "start")).toEqual([]);
  expect(log.lines.filter((l) => l.includes("linked to the gateway again")).length).toBeGreaterThan(2);
});

test("over WebSocket, too", async () => {
  const g = await gateway();
  const p = await proxy(g.port);
  const host = new EchoHost();
  await link(`ws://127.0.0.1:${p.port}`, host);
  const answers = await saves(g, 20, (i) => {
    if (i === 30 || i === 60) p.cut();
  });
  expect(answers).toEqual(Array.from({ length: 80 }, (_, i) => Math.floor(i / 4) + 1));
  expect(host.events.filter((e) => e !== "start")).toEqual([]);
});

test("a gateway that was killed adopts the actors when it is back [LINK-19] [LEASE-4]", async () => {
  const data = mkdtempSync(join(tmpdir(), "stagedoor-link-"));
  atEnd(() => rmSync(data, { recursive: true, force: true }));
  const first = await gateway({ data });
  const host = new EchoHost();
  await link(first.url, host);
  expect(await call(first, "a", "save")).toBe(1);
  expect(await call(first, "b", "save")).toBe(1);
  await first.kill();
  const second = await gateway({ data, port: first.port });
  expect(await call(second, "a", "save")).toBe(2);
  expect(await call(second, "b", "save")).toBe(2);
  expect(host.events).toEqual(["start", "start", "adrift", "adrift", "adopted", "adopted"]);
});

test("an actor that has ended meanwhile is not offered; one that the gateway does not take is dropped [LEASE-4]", async () => {
  const first = await gateway();
  const host = new EchoHost();
  await link(first.url, host);
  await call(first, "a", "save");
  await call(first, "b", "save");
  const [a, b] = [...host.seats];
  await first.kill();
  a!.port.close();
  const second = await gateway({ port: first.port }); // with another store: it knows neither
  await until("an answer to the offer", () => host.events.includes("drop"));
  expect(host.events).toEqual(["start", "start", "adrift", "drop"]);
  expect(host.seats.has(b!)).toBe(false);
  expect(await call(second, "b", "save")).toBe(1);
});

test("a gateway that breaks the protocol loses the session, the actors go on in another one [FRAME-2]", async () => {
  const port = await freePort();
  const g = await gateway({ args: ["--runner-listen", `tcp://127.0.0.1:${port}`] });
  const p = await proxy(port);
  const host = new EchoHost();
  const { log } = await link(`tcp://127.0.0.1:${p.port}`, host);
  expect(await call(g, "a", "save")).toBe(1);
  p.inject(Uint8Array.of(0, 0, 0, 0));
  await until("another session", () => host.events.includes("adopted"));
  expect(await call(g, "a", "save")).toBe(2);
  expect(log.lines.some((l) => l.startsWith("error the gateway broke the protocol"))).toBe(true);
  expect(host.events).toEqual(["start", "adrift", "adopted"]);
});

test("a signal while the socket is gone still hands the actors over [LINK-10]", async () => {
  const port = await freePort();
  const g = await gateway({ args: ["--runner-listen", `tcp://127.0.0.1:${port}`] });
  const p = await proxy(port);
  const host = new EchoHost();
  const { stop, done } = await link(`tcp://127.0.0.1:${p.port}`, host);
  await call(g, "a", "save");
  p.cut();
  stop.abort();
  await done;
  expect(host.events).toEqual(["start", "stop drain"]);
});
