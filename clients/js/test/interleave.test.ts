// What applications may do at any time, in any order, while sockets are cut: nothing hangs, nothing is left, nothing is counted twice.
import { afterAll, beforeAll, expect, test } from "vitest";
import { ActorError, createClient } from "../src/index.ts";
import type { ActorConn, Client, Unsubscribe } from "../src/index.ts";
import type { Chat, Examples } from "./actors.ts";
import { startCutter } from "./cutter.ts";
import type { Cutter } from "./cutter.ts";
import { bin, startGateway } from "./gateway.ts";
import type { Gateway } from "./gateway.ts";
import { eventually, seeded, unique } from "./tools.ts";

let gateway: Gateway;
let cutter: Cutter;

beforeAll(async () => {
  gateway = await startGateway({ args: ["--resume-wait", "1s"], runner: [bin("examples")] }); // a client that is disposed without a socket says no goodbye
  cutter = await startCutter(gateway.port);
});

afterAll(async () => {
  await cutter?.stop();
  await gateway?.stop();
});

const seeds = Number(process.env["SEEDS"] ?? 6);

test.each(["proto", "json"] as const)("anything at any time, in %s", async (encoding) => {
  for (let seed = 1; seed <= seeds; seed++) await new Chaos(encoding, seed).run(150);
});

class Chaos {
  private readonly random: () => number;
  private readonly encoding: "proto" | "json";
  private readonly key = unique("chaos");
  private readonly counterKey = unique("chaos");
  private readonly clients: Client<Examples>[] = [];
  private readonly conns: ActorConn<Chat>[] = [];
  private readonly offs: Unsubscribe[] = [];
  private readonly promises: Promise<unknown>[] = [];
  /** Increments that ran, and that may have run. */
  private ran = 0;
  private maybe = 0;

  constructor(encoding: "proto" | "json", seed: number) {
    this.encoding = encoding;
    this.random = seeded(seed + (encoding === "json" ? 1000 : 0));
  }

  private pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.random() * list.length)];
  }

  private newClient(): Client<Examples> {
    const client = createClient<Examples>({ endpoint: cutter.url, encoding: this.encoding, backoffMinMs: 1, backoffMaxMs: 5 });
    this.clients.push(client);
    return client;
  }

  private connect(): void {
    const client = this.pick(this.clients) ?? this.newClient();
    const name = `n${this.conns.length}`;
    const getParams = async () => {
      await new Promise((resolve) => setTimeout(resolve, this.random() * 5));
      if (this.random() < 0.3) throw new Error("not now");
      return { name };
    };
    const conn = client.chat.getOrCreate(this.key, this.random() < 0.5 ? { getParams } : { params: { name } }).connect();
    conn.onClose(() => {
      this.promises.push(conn.members().then(() => expect.fail("it is over"), (error: unknown) => expect(error).toBeInstanceOf(ActorError)));
      if (this.random() < 0.3) this.count(client);
    });
    conn.onOpen(() => {
      if (this.random() < 0.1) void conn.dispose();
    });
    this.conns.push(conn);
  }

  private count(client: Client<Examples>): void {
    const abort = new AbortController();
    const call = client.counter.getOrCreate(this.counterKey).action({
      name: "increment",
      args: [1],
      ...(this.random() < 0.3 && { signal: abort.signal }),
      ...(this.random() < 0.2 && { timeoutMs: 1 + this.random() * 20 }),
    });
    if (this.random() < 0.5) setTimeout(() => abort.abort(), this.random() * 10);
    this.promises.push(
      call.then(
        () => void this.ran++,
        (error: unknown) => {
          expect(error).toBeInstanceOf(ActorError);
          expect((error as ActorError).ran).toMatch(/no|maybe/);
          if ((error as ActorError).ran === "maybe") this.maybe++;
        },
      ),
    );
  }

  private step(): void {
    const at = this.random();
    const conn = this.pick(this.conns);
    if (at < 0.15) this.connect();
    else if (at < 0.4) this.count(this.pick(this.clients) ?? this.newClient());
    else if (at < 0.5 && conn) this.promises.push(conn.send("hello").catch(() => {}));
    else if (at < 0.6 && conn) this.offs.push(this.random() < 0.5 ? conn.on("message", () => {}) : conn.once("joined", () => void conn.dispose()));
    else if (at < 0.7) this.pick(this.offs)?.();
    else if (at < 0.8) void conn?.dispose();
    else if (at < 0.85) cutter.cut();
    else if (at < 0.87) this.newClient();
    else if (at < 0.89 && this.clients.length > 1) {
      const [client] = this.clients.splice(Math.floor(this.random() * this.clients.length), 1);
      this.promises.push(client!.dispose());
    }
  }

  async run(steps: number): Promise<void> {
    cutter.cutAfter(() => 300 + this.random() * 8000);
    this.newClient();
    for (let i = 0; i < steps; i++) {
      this.step();
      if (this.random() < 0.5) await new Promise((resolve) => setTimeout(resolve, this.random() * 4));
    }
    cutter.cutAfter(undefined);
    cutter.cut();
    for (let settled = 0; settled < this.promises.length; ) {
      settled = this.promises.length; // what is settled may have said more
      await Promise.all(this.promises);
    }
    await Promise.all(this.clients.map((client) => client.dispose()));
    for (const conn of this.conns) expect(conn.connStatus).toBe("idle");
    const after = this.newClient();
    await eventually(async () => expect(await after.chat.getOrCreate(this.key, { params: { name: "x" } }).members()).toStrictEqual([]));
    const count = await after.counter.getOrCreate(this.counterKey).getCount();
    expect(count).toBeGreaterThanOrEqual(this.ran);
    expect(count).toBeLessThanOrEqual(this.ran + this.maybe);
    await after.dispose();
  }
}
