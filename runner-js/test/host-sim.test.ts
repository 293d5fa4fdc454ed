// One actor against a gateway that does at random what gateways may do, and checks what the protocol promises: versions and groups,
// one answer per call, nothing seen before it is durable, nothing lost that was seen.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { decode, encode } from "@stagedoor/client/values";
import { actor } from "../src/actor/actor.ts";
import type { ActorOutMessage, Commit, ConnectionOpen } from "../src/wire/messages.ts";
import { changesOf, Stage, tick } from "./host-world.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const def = actor({
  state: { n: 0 },
  connState: { seen: 0 },
  onConnect: async (c, conn) => {
    conn.send("n", c.state.n);
    if (Number(conn.id.slice(1)) % 3 === 0) await after(10);
  },
  onDisconnect: async (c, conn) => {
    c.state.n++;
    if (Number(conn.id.slice(1)) % 2 === 0) await after(10);
  },
  actions: {
    add: (c) => {
      c.broadcast("n", ++c.state.n);
      return c.state.n;
    },
    slow: async (c, ms: number) => {
      c.state.n++;
      await after(ms);
      c.broadcast("n", ++c.state.n);
      return c.state.n;
    },
    get: (c) => c.state.n,
    put: async (c) => {
      const n = Number((await c.kv.get("n")) ?? 0) + 1;
      await c.kv.put("n", String(n));
      return ++c.state.n;
    },
    seen: (c) => {
      if (c.conn) c.conn.state.seen++;
      return c.state.n;
    },
    kick: (c, i: number) => {
      void [...c.conns.values()][i]?.disconnect("out");
      return c.state.n;
    },
    save: async (c) => {
      const { n } = c.state;
      await c.saveState({ immediate: true });
      return n;
    },
  },
});

type Pick = (below: number) => number;

function random(seed: number): Pick {
  let s = seed >>> 0;
  return (below) => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return Math.floor((s / 2 ** 32) * below);
  };
}

/** Gateway is the other side, with the store. */
class Gateway {
  readonly stage = new Stage(def, { limits: { maxGroupOutputs: 3, maxGroupBytes: 4000, maxHeldBytes: 8000 } });
  version = 0;
  applied: Uint8Array | undefined;
  n = 0;
  generation = 1;
  /** Refs of the connections that live, by id, with the state that is kept. */
  readonly conns = new Map<string, { ref: number; state: Uint8Array | undefined; open: boolean }>();
  /** Whose onDisconnect is owed, by the store [CONN-7]. */
  readonly record = new Set<string>();
  readonly calls = new Map<number, string | undefined>();
  answered = 0;
  unknown = 0;
  unanswered: Commit | undefined;
  #held: ActorOutMessage[] = [];
  #owed = 0;
  #heard = 0;
  #ref = 0;
  readonly #pick: Pick;

  constructor(pick: Pick) {
    this.#pick = pick;
    this.stage.acknowledge = false;
    this.stage.onSend = (m) => this.#take(m);
    this.stage.start();
  }

  #take(m: ActorOutMessage): void {
    const output = m.kind === "callResult" || m.kind === "emit" || m.kind === "connectionClose" || m.kind === "connectionState";
    if (this.#owed > 0) {
      expect(output, `${m.kind} inside of a group`).toBe(true);
      this.#owed--;
    }
    if (m.kind === "commit") {
      expect(this.unanswered, "a commit beside an unanswered one").toBe(undefined);
      const again = m.version === this.version && this.applied !== undefined && Buffer.compare(m.changes, this.applied) === 0;
      if (!again) expect(m.version).toBe(this.version + 1);
      expect(m.outputs).toBeLessThanOrEqual(3);
      this.unanswered = m;
      this.#owed = m.outputs;
    } else if (output) {
      if (this.unanswered === undefined) this.#release(m);
      else this.#held.push(m);
    } else if (m.kind === "kvRead") {
      this.stage.say({ kind: "kvResult", actor: m.actor, id: m.id, entries: (m.keys ?? []).map((key) => ({ key, value: undefined })), more: false, error: undefined });
    } else if (m.kind === "actorStopped") {
      throw new Error(`stopped: ${m.outcome} ${JSON.stringify(m.error)}`);
    }
  }

  /** release is the gate: what leaves was computed from what is durable. */
  #release(m: ActorOutMessage): void {
    if (m.kind === "callResult") {
      expect(this.calls.has(m.id), `an answer to ${m.id}, which nobody asked or which was answered`).toBe(true);
      const conn = this.calls.get(m.id);
      this.calls.delete(m.id);
      this.answered++;
      if (conn !== undefined) this.#opened(conn, m.error === undefined);
      if (m.output !== undefined) expect(decode(m.output), "seen before it was durable").toBeLessThanOrEqual(this.n);
    } else if (m.kind === "emit") {
      const [n] = decode(m.args) as [number];
      expect(n, "seen before it was durable").toBeLessThanOrEqual(this.n);
      if (m.to !== undefined) return;
      expect(n, "events out of order").toBeGreaterThan(this.#heard);
      this.#heard = n;
    } else if (m.kind === "connectionState") {
      for (const conn of this.conns.values()) if (conn.ref === m.connection) conn.state = m.state;
    } else if (m.kind === "connectionClose") {
      for (const [id, conn] of this.conns) if (conn.ref === m.connection) this.conns.delete(id);
    }
  }

  #opened(id: string, ok: boolean): void {
    const conn = this.conns.get(id);
    if (conn === undefined) return;
    if (ok) conn.open = true;
    else this.conns.delete(id);
  }

  apply(): void {
    const commit = this.unanswered;
    if (commit === undefined || commit.version === this.version) return;
    this.version = commit.version;
    this.applied = commit.changes;
    const { state, connectionsAdded, connectionsRemoved } = changesOf(commit);
    for (const id of connectionsAdded) this.record.add(id);
    for (const id of connectionsRemoved) this.record.delete(id);
    if (state !== undefined) {
      const { n } = decode(state) as { n: number };
      expect(n).toBeGreaterThanOrEqual(this.n);
      this.n = n;
    }
  }

  ack(): void {
    const commit = this.unanswered;
    if (commit === undefined || this.#owed > 0) return;
    this.apply();
    this.unanswered = undefined;
    for (const m of this.#held.splice(0)) this.#release(m);
    this.stage.say({ kind: "commitResult", actor: commit.actor, version: commit.version, error: undefined });
  }

  /** lose breaks the session; the next one adopts the actor. */
  async lose(): Promise<void> {
    if (!this.stage.port.sent.some(({ kind }) => kind === "actorReady") && this.generation === 1) return;
    if (this.#pick(2) === 0) this.apply(); // the store may have it, or not
    this.unknown += this.calls.size;
    this.calls.clear();
    const offer = this.stage.lose();
    if (offer === undefined) throw new Error("an actor that is awake was not offered");
    expect(offer.generation).toBe(this.generation);
    expect([this.version, this.version - (offer.pending.length > 0 ? 1 : 0)]).toContain(offer.version);
    const again: string[] = []; // opens that were not answered [CONN-8]
    for (const [id, conn] of this.conns) {
      if (conn.open && this.#pick(4) > 0) continue;
      this.conns.delete(id);
      if (!conn.open) again.push(id);
    }
    this.unanswered = undefined;
    this.#held = [];
    this.#owed = 0;
    this.#heard = 0; // what was sent may come again
    await vi.advanceTimersByTimeAsync(this.#pick(30));
    this.stage.adopt({ version: this.version, generation: ++this.generation, restoredConnections: this.conns.size }, { limits: { maxGroupOutputs: 3, maxGroupBytes: 4000, maxHeldBytes: 8000 } });
    for (const [id, conn] of this.conns) {
      conn.ref = ++this.#ref;
      this.stage.say(this.stage.opening(conn.ref, undefined, { connectionId: id, restored: true, state: conn.state }));
    }
    for (const id of again) if (this.#pick(3) > 0) this.open(id);
  }

  async act(): Promise<void> {
    const pick = this.#pick;
    if (pick(30) === 0) this.stage.say({ kind: "fence", actor: this.stage.port.ref, nonce: 0n });
    const live = [...this.conns.entries()].filter(([, conn]) => conn.open);
    switch (pick(12)) {
      case 0:
      case 1:
        return this.open();
      case 2: {
        const [id, conn] = live[pick(Math.max(1, live.length))] ?? [];
        if (id === undefined || conn === undefined) return;
        this.conns.delete(id);
        return this.stage.closed(conn.ref);
      }
      case 3:
        if (pick(6) === 0) await this.lose();
        return;
      case 4:
      case 5:
      case 6:
        return this.ack();
      default: {
        const name = ["add", "add", "slow", "get", "put", "seen", "kick", "save"][pick(8)]!;
        const [, conn] = live[pick(Math.max(1, live.length))] ?? [];
        const connection = pick(2) === 0 && conn !== undefined ? conn.ref : 0;
        this.call(name, name === "slow" ? [pick(20)] : name === "kick" ? [pick(4)] : [], connection);
      }
    }
  }

  call(name: string, args: unknown[], connection: number): void {
    const id = this.stage.nextId;
    this.calls.set(id, undefined);
    expect(this.stage.call(name, args, { connection })).toBe(id);
  }

  open(again?: string): void {
    const ref = ++this.#ref;
    const id = again ?? `c${ref}`;
    this.conns.set(id, { ref, state: undefined, open: false });
    const call = this.stage.nextId;
    this.calls.set(call, id);
    const fields: Partial<ConnectionOpen> = { connectionId: id, params: encode({}) };
    expect(this.stage.open(ref, undefined, fields)).toBe(call);
  }
}

it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])("keeps the protocol, seed %i", async (seed) => {
  const pick = random(seed);
  const g = new Gateway(pick);
  for (let step = 0; step < 1500; step++) {
    await g.act();
    if (pick(4) === 0) await vi.advanceTimersByTimeAsync(pick(6));
    else if (pick(2) === 0) await tick();
  }
  for (let i = 0; i < 100; i++) {
    g.ack();
    await vi.advanceTimersByTimeAsync(10);
  }
  expect(g.calls.size, "calls without answer").toBe(0);
  expect(g.answered).toBeGreaterThan(300);
  expect(g.stage.log.lines.filter(({ level }) => level === "error")).toEqual([]);
  expect([...g.record].sort()).toEqual([...g.conns.keys()].sort());
  // What the actor has in memory is what the store has.
  g.call("get", [], 0);
  const last = g.stage.port.sent.at(-1);
  expect(last?.kind === "callResult" && last.output && decode(last.output)).toBe(g.n);
});
