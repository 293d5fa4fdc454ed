// A gateway that says anything at all, in any order, costs at most the actor that it says it of.
import { encode } from "@stagedoor/client/values";
import { expect, it } from "vitest";
import { actor } from "../src/actor/actor.ts";
import type { ActorMessage, StopReason } from "../src/wire/messages.ts";
import { Stage, tick } from "./host-world.ts";

type Pick = (below: number) => number;

function random(seed: number): Pick {
  let s = seed >>> 0;
  return (below) => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return Math.floor((s / 2 ** 32) * below);
  };
}

const soon = () => new Promise<void>((resolve) => setImmediate(resolve));
/** Connections that were refused, or for which onDisconnect has run. */
const gone = new WeakSet<object>();
const faults: string[] = [];
let ended = 0;

function define(serial: boolean) {
  return actor({
    state: { n: 0, list: [] as unknown[] },
    connState: { seen: 0 },
    options: { concurrency: serial ? "serial" : "interleaved", sleepTimeout: 5 },
    onConnect: async (c, conn) => {
      c.state.n++;
      conn.send("hello");
      if (conn.id.endsWith("3")) await soon();
      if (conn.id.endsWith("4")) void conn.disconnect("no");
      if (conn.id.endsWith("5")) {
        gone.add(conn);
        throw new Error("no");
      }
    },
    onDisconnect: async (c, conn) => {
      if (gone.has(conn)) faults.push(`onDisconnect for ${conn.id}, which has gone`);
      gone.add(conn);
      ended++;
      if (conn.id.endsWith("2")) for (const other of c.conns.values()) void other.disconnect("follow me");
      await soon();
      c.broadcast("left", conn.id);
    },
    onSleep: (c) => {
      c.state.n++;
      c.broadcast("sleep");
      if (c.state.n % 3 === 0) c.destroy();
    },
    onDestroy: async (c) => {
      c.broadcast("destroy");
      await [...c.conns.values()][0]?.disconnect();
    },
    run: async (c) => {
      while (!c.abortSignal.aborted) {
        c.state.n++;
        await soon();
        if (c.state.n % 7 === 0) await c.saveState({ immediate: true }).catch(() => undefined);
      }
    },
    actions: {
      add: (c, by: number) => (c.state.n += by),
      slow: async (c) => {
        c.state.list.push(c.conn?.id ?? null);
        await soon();
        if (c.state.list.length > 10) c.state.list.length = 0;
        c.broadcast("n", c.state.n);
        if (c.conn) c.conn.state.seen++;
        await soon();
        await c.saveState({ immediate: true });
        return c.conns.size;
      },
      kv: async (c) => {
        await c.kv.put("k", "v");
        return c.kv.list("");
      },
      kick: (c) => {
        for (const conn of c.conns.values()) void conn.disconnect();
      },
      hang: () => new Promise(() => undefined),
      sleep: (c) => c.sleep(),
      destroy: (c) => c.destroy(),
      big: (c) => {
        c.state.list.push("x".repeat(20_000));
      },
    },
  });
}

function message(pick: Pick, stage: Stage): ActorMessage {
  const actor = stage.port.ref;
  const id = pick(8);
  const error = pick(8) === 0 ? { group: "actor", code: "fenced", message: "", retryable: false, ran: "" as const, retryAfterMs: 0 } : undefined;
  switch (pick(14)) {
    case 0:
      return { kind: "commitResult", actor, version: pick(12), error: pick(6) === 0 ? error : undefined };
    case 1:
    case 2:
      return { kind: "commitResult", actor, version: stage.commits.at(-1)?.version ?? 0, error: undefined };
    case 3:
      return { kind: "cancelCall", actor, id, reason: (["", "caller", "deadline", "disconnected", "stopping"] as const)[pick(5)]! };
    case 4:
      return { kind: "kvResult", actor, id: pick(5), entries: pick(2) === 0 ? [] : [{ key: new Uint8Array([1]), value: undefined }], more: pick(2) === 0, error };
    case 5:
    case 6:
      return stage.opening(1 + pick(6), undefined, { call: id, restored: pick(4) === 0, params: pick(9) === 0 ? new Uint8Array([0xff]) : new Uint8Array() });
    case 7:
      return { kind: "connectionClose", actor, connection: pick(7), code: "connection.closed", reason: "" };
    case 8:
      return { kind: "fence", actor, nonce: BigInt(id) };
    case 9:
      if (pick(12) > 0) return { kind: "fence", actor, nonce: 0n };
      return { kind: "stopActor", actor, reason: (["", "sleep", "destroy", "migrate", "drain", "fenced"] as StopReason[])[pick(6)]!, graceMs: pick(3) * 20 };
    default: {
      const action = ["add", "slow", "slow", "kv", "kick", "hang", "sleep", "destroy", "big", "__proto__", "constructor"][pick(11)]!;
      const args = [encode([1]), encode([]), new Uint8Array(), new Uint8Array([0x9f]), encode({ __proto__: null })][pick(5)]!;
      return {
        kind: "call", actor, id, action, args, connection: pick(2) * pick(7), deadlineMs: pick(3), principal: pick(3), idempotencyKey: new Uint8Array(),
        attempt: 0, trace: new Uint8Array(), tracestate: "", alarm: undefined, oneway: pick(5) === 0, nowMs: 0,
      };
    }
  }
}

it.each([1, 2, 3, 4, 5, 6, 7, 8])("ends what it is given, seed %i", async (seed) => {
  const pick = random(seed);
  for (let life = 0; life < 40; life++) {
    const stage = new Stage(define(pick(2) === 0), { limits: { maxState: 10_000, maxGroupOutputs: 3, maxHeldBytes: 4000, maxReadsPerActor: 2 } });
    stage.acknowledge = pick(2) === 0;
    stage.start({ create: pick(2) === 0, restoredConnections: pick(4) === 0 ? 1 : 0, state: encode({ n: 0, list: [] }), version: 3 });
    for (let step = 0; step < 200; step++) {
      if (stage.host.size === 0 && step > 0) break;
      stage.say(message(pick, stage));
      if (pick(3) === 0) await soon();
      stage.port.lease = pick(10) > 0;
      if (pick(4) === 0) stage.seat.leased();
      if (pick(6) === 0) stage.port.credit = pick(2) === 0 ? 0 : undefined;
      if (pick(6) === 0) stage.seat.writable();
      if (pick(40) === 0 && stage.lose() !== undefined) {
        if (pick(3) === 0) await soon();
        stage.adopt({ version: pick(3) === 0 ? pick(9) : (stage.commits.at(-1)?.version ?? 3), restoredConnections: pick(3) });
      }
    }
    stage.seat.drop();
    expect(stage.host.size).toBe(0);
    await tick();
  }
  expect(faults).toEqual([]);
  expect(ended).toBeGreaterThan(10);
});
