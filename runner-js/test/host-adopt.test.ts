import { encode } from "@stagedoor/client/values";
import { describe, expect, it } from "vitest";
import { actor } from "../src/actor/actor.ts";
import { commitId } from "../src/wire/changes.ts";
import { begin, type Stage, tick } from "./host-world.ts";

const gates = new Map<string, () => void>();
const said: string[] = [];
const def = actor({
  state: { n: 0 },
  connState: { seen: 0 },
  onDisconnect: (c, conn) => {
    said.push(`gone ${conn.id}`);
  },
  actions: {
    add: (c) => {
      c.broadcast("n", ++c.state.n);
      return c.state.n;
    },
    wait: async (c, name: string) => {
      await new Promise<void>((resolve) => gates.set(name, resolve));
      c.state.n += 100;
      return c.state.n;
    },
    tell: (c, id: string) => c.conns.get(id)?.send("tell", id),
    kick: (c, id: string) => void c.conns.get(id)?.disconnect("out"),
    seen: (c) => (c.conn ? ++c.conn.state.seen : 0),
    get: (c) => c.state.n,
    read: (c) => c.kv.get("k"),
    destroy: (c) => c.destroy(),
  },
});

async function hosted(): Promise<Stage> {
  const stage = await begin(def);
  for (const ref of [1, 2, 3]) stage.open(ref);
  await tick();
  stage.news();
  said.length = 0;
  return stage;
}

const restored = (stage: Stage, ref: number, id: string, seen = 0) =>
  stage.open(ref, undefined, { restored: true, connectionId: id, state: encode({ seen }) });

describe("adoption", () => {
  it("of an actor without unanswered commit goes on with its memory, under new refs", async () => {
    const stage = await hosted();
    const offer = stage.lose();
    expect(offer).toMatchObject({ id: "here-1", generation: 1, version: 2, actor: 7, pending: new Uint8Array() });
    stage.adopt({ version: 2, restoredConnections: 2 });
    stage.call("get");
    restored(stage, 11, "c1");
    expect(stage.news()).toEqual([]);
    restored(stage, 13, "c3");
    await tick();
    expect(said).toEqual(["gone c2"]);
    expect(stage.news()).toEqual(["result 4 0", "commit 3 +0 removed c2"]);
    stage.call("tell", ["c3"]);
    expect(stage.news()).toEqual(['emit tell to 13 ["c3"]', "result 5"]);
  });

  it("sends the unanswered commit again, byte for byte, with its outputs but the results, and what followed it", async () => {
    const stage = await hosted();
    stage.acknowledge = false;
    stage.call("add");
    await tick();
    stage.call("tell", ["c1"]); // behind the commit
    stage.call("add");
    await tick(); // waits
    const [sent] = stage.commits.slice(-1);
    const offer = stage.lose();
    expect(offer).toMatchObject({ version: 2, pending: commitId(sent!.changes) });
    stage.adopt({ version: 2, restoredConnections: 3 });
    for (const ref of [1, 2, 3]) restored(stage, 10 + ref, `c${ref}`);
    expect(stage.news()).toEqual(['commit 3 +1 state {"n":1}', "emit n [1]", 'emit tell to 11 ["c1"]']);
    expect(stage.commits[0]!.changes).toEqual(sent!.changes);
    stage.ack();
    expect(stage.news()).toEqual(['commit 4 +1 state {"n":2}', "emit n [2]"]);
  });

  it("after which the commit turns out to be applied does not repeat events that were behind it", async () => {
    const stage = await hosted();
    stage.acknowledge = false;
    stage.call("add");
    await tick();
    stage.call("tell", ["c1"]);
    stage.lose();
    stage.adopt({ version: 3, restoredConnections: 1 });
    restored(stage, 11, "c1");
    expect(stage.news()[0]).toBe('commit 3 +1 state {"n":1}');
    expect(stage.news().filter((line) => line.includes("tell"))).toEqual([]);
  });

  it("cancels what the lost gateway asked for, and answers none of it; what it changes stays", async () => {
    const stage = await hosted();
    const waiting = stage.call("wait", ["a"]);
    stage.lose();
    expect(stage.log.lines.filter(({ level }) => level === "error")).toEqual([]);
    stage.call("get"); // for the old session, or for nobody
    gates.get("a")?.();
    await tick();
    stage.adopt({ version: 2, restoredConnections: 0 });
    await tick();
    expect(stage.result(waiting)).toBeUndefined();
    expect(stage.news().some((line) => line.includes('state {"n":100}'))).toBe(true);
  });

  it("sends a connection's state again where the gateway has another, and closes again what was closed", async () => {
    const stage = await hosted();
    stage.call("seen", [], { connection: 1 });
    stage.call("kick", ["c2"]);
    await tick();
    stage.lose();
    stage.adopt({ version: 3, restoredConnections: 3 });
    restored(stage, 11, "c1", 0);
    restored(stage, 12, "c2", 0);
    restored(stage, 13, "c3", 0);
    await tick();
    expect(stage.news()).toEqual(["close 12 connection.disconnected", 'connState 11 {"seen":1}']);
  });

  it("asks again for what was read", async () => {
    const stage = await hosted();
    const id = stage.call("read");
    stage.lose();
    stage.adopt({ version: 2 });
    expect(stage.news()).toEqual(["read k"]);
    stage.say({ kind: "kvResult", actor: 107, id: 1, entries: [{ key: new Uint8Array([107]), value: new Uint8Array([65]) }], more: false, error: undefined });
    await tick();
    expect(stage.result(id)).toBeUndefined();
  });

  it("repeats a wish to be destroyed", async () => {
    const stage = await hosted();
    stage.call("destroy");
    await tick();
    expect(stage.news()).toEqual(["intent destroy", "result 4"]);
    stage.lose();
    stage.adopt({ version: 2, restoredConnections: 0 });
    expect(stage.news()).toContain("intent destroy");
  });

  it("is offered again when the next session is lost before", async () => {
    const stage = await hosted();
    stage.lose();
    stage.adopt({ version: 2, restoredConnections: 2 });
    restored(stage, 11, "c1");
    expect(stage.lose()).toMatchObject({ version: 2, generation: 2, actor: 107 });
    stage.adopt({ version: 2, restoredConnections: 1, generation: 3 });
    restored(stage, 21, "c1");
    stage.call("get");
    expect(stage.news().at(-1)).toBe("result 4 0");
  });

  it("refused drops the actor without hooks", async () => {
    const stage = await hosted();
    stage.lose();
    stage.adopt({ error: { group: "actor", code: "fenced", message: "", retryable: true, ran: "maybe", retryAfterMs: 0 } });
    await tick();
    expect(stage.host.size).toBe(0);
    expect([stage.news(), said]).toEqual([[], []]);
  });

  it("with another version than the actor has ends it", async () => {
    const stage = await hosted();
    stage.lose();
    stage.adopt({ version: 9 });
    expect(stage.news()).toEqual(["stopped fenced"]);
  });

  it("is not for an actor that starts or stops", async () => {
    const stage = await hosted();
    stage.call("wait", ["b"]);
    stage.stop("sleep");
    expect(stage.lose()).toBeUndefined();
    expect(stage.host.size).toBe(0);
  });
});
