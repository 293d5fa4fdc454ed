import { createServer, connect, type AddressInfo, type Socket } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startGateway } from "../../clients/js/test/gateway.ts";
import { actor } from "../src/actor/actor.ts";
import { actors } from "./e2e-actors.ts";
import { atEnd, call, client, gateway, runner, runnerProcess, until } from "./e2e-world.ts";

const memory = actor({
  state: { n: 0 },
  vars: { since: 0 },
  onDisconnect: (c) => {
    c.state.n += 1000;
  },
  actions: {
    add: (c) => {
      c.vars.since++;
      return ++c.state.n;
    },
    both: (c) => [c.state.n, c.vars.since],
  },
});

it("an actor outlives its gateway: the next one adopts it, with its memory", async () => {
  const data = await mkdtemp(join(tmpdir(), "stagedoor-lost-"));
  atEnd(() => rm(data, { recursive: true, force: true }));
  const g = await startGateway({ data });
  const r = await runner(g, { memory });
  for (let i = 0; i < 3; i++) await call(g, "memory:a", "add");
  await g.kill();
  const again = await startGateway({ port: g.port, data });
  atEnd(() => again.kill());
  await until(async () => (await call(again, "memory:a", "both")).status === 200);
  expect((await call(again, "memory:a", "both")).output).toEqual([3, 3]);
  expect((await call(again, "memory:a", "add")).output).toBe(4);
  expect(r.host.size).toBe(1);
});

/** cuttable passes bytes on between runners and a gateway, until it is cut. */
async function cuttable(to: number): Promise<{ url: string; cut: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((down) => {
    const up = connect(to, "127.0.0.1");
    for (const [socket, other] of [[down, up], [up, down]] as const) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => sockets.forEach((socket) => socket.destroy());
  atEnd(() => {
    cut();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, cut };
}

it("a link that breaks again and again costs no call, no event and no change", async () => {
  const g = await gateway();
  const proxy = await cuttable(g.port);
  await runner(g, actors, { endpoint: proxy.url });
  const counter = client(g).counter.getOrCreate("cut").connect();
  const heard: number[] = [];
  counter.on("count", (n: number) => heard.push(n));
  await counter.get();
  let done = 0;
  const calls = Array.from({ length: 2000 }, () => counter.increment().then(() => done++));
  for (const at of [100, 500, 1000, 1500]) {
    await until(() => done >= at);
    proxy.cut();
  }
  await Promise.all(calls);
  expect(await counter.get()).toBe(2000);
  expect(heard).toEqual(Array.from({ length: 2000 }, (_, i) => i + 1));
});

it("a runner that is killed under load of 200 connections loses no acknowledged change, and no connection", async () => {
  const g = await gateway();
  const killed = await runnerProcess(g);
  const clients = Array.from({ length: 8 }, () => client(g));
  const conns = Array.from({ length: 200 }, (_, i) => clients[i % 8]!.counter.getOrCreate(["load", String(i % 50)]).connect());
  const reopened = conns.map(() => 0);
  conns.forEach((conn, i) => conn.onOpen(() => reopened[i]!++));
  await Promise.all(conns.map((conn) => conn.get()));
  const acknowledged = Array.from({ length: 50 }, () => 0);
  let running = true;
  const load = conns.map(async (conn, i) => {
    while (running) {
      await conn.increment().then(() => acknowledged[i % 50]!++, (error: { code: string }) => expect(["outcome_unknown", "crashed", "unavailable"]).toContain(error.code));
    }
  });
  await until(() => acknowledged.every((n) => n > 5));
  await killed.kill();
  const before = [...acknowledged];
  await runnerProcess(g);
  await until(() => acknowledged.every((n, i) => n > before[i]! + 5));
  running = false;
  await Promise.all(load);
  for (let i = 0; i < 50; i++) expect(await conns[i]!.get()).toBeGreaterThanOrEqual(acknowledged[i]!);
  expect(reopened).toEqual(conns.map(() => 1));
});

