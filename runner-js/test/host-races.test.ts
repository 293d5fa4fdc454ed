// Interleavings: what comes while something else is under way.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { actor } from "../src/actor/actor.ts";
import type { ActorContext } from "../src/actor/types.ts";
import { begin, changesOf, Stage, tick } from "./host-world.ts";

const gates = new Map<string, () => void>();
const gate = (name: string) => new Promise<void>((resolve) => gates.set(name, resolve));
const said: string[] = [];

const hooks = {
  state: { n: 0 },
  onDisconnect: (_c: unknown, conn: { id: string }) => void said.push(`gone ${conn.id}`),
};

async function hosted(def: Parameters<typeof begin>[0], refs: readonly number[]): Promise<Stage> {
  const stage = await begin(def);
  for (const ref of refs) stage.open(ref);
  await tick();
  stage.news();
  said.length = 0;
  return stage;
}

describe("adoption", () => {
  it("of a serial actor forgets that a connection of the lost session left: its ref is another's now [LEASE-4]", async () => {
    const def = actor({ ...hooks, options: { concurrency: "serial" }, actions: { wait: () => gate("serial"), ids: (c) => [...c.conns.keys()] } });
    const stage = await hosted(def, [1, 2]);
    stage.call("wait");
    stage.closed(1);
    stage.lose();
    stage.adopt({ version: stage.commits.at(-1)?.version ?? 1, restoredConnections: 1 });
    stage.open(1, undefined, { restored: true, connectionId: "c2" });
    gates.get("serial")?.();
    await tick();
    expect(said).toEqual(["gone c1"]);
    expect(stage.result(stage.call("ids"))).toEqual({ output: ["c2"] });
  });

  it("in which an open comes again while its first one still runs keeps the new connection [CONN-8] [CONN-7]", async () => {
    let opens = 0;
    const def = actor({
      ...hooks,
      onConnect: async (_c, conn) => {
        if (conn.id === "c1" && opens++ === 0) await gate("connect");
      },
      actions: { ids: (c) => [...c.conns.keys()], say: (c) => c.broadcast("x") },
    });
    const stage = await hosted(def, []);
    stage.open(1);
    await tick();
    stage.lose();
    stage.adopt({ version: 1, restoredConnections: 0 });
    stage.open(21, undefined, { connectionId: "c1" });
    await tick();
    gates.get("connect")?.();
    await tick();
    expect(said).toEqual(["gone c1"]);
    expect(stage.result(stage.call("ids"))).toEqual({ output: ["c1"] });
    stage.call("say");
    expect(stage.news()).toContain("emit x []");
    const record = new Set<string>();
    for (const commit of stage.commits) {
      const { connectionsAdded, connectionsRemoved } = changesOf(commit);
      for (const id of connectionsAdded) record.add(id);
      for (const id of connectionsRemoved) record.delete(id);
    }
    expect([...record]).toEqual(["c1"]);
    stage.closed(21);
    await tick();
    expect(said).toEqual(["gone c1", "gone c1"]);
  });
});

describe("an actor that has crashed", () => {
  it("runs nothing more while its last commit is unanswered [STATE-2]", async () => {
    const def = actor({ ...hooks, state: { n: 0, big: "" }, actions: { add: (c) => ++c.state.n, grow: (c) => void (c.state.big = "x".repeat(1000)) } });
    const stage = new Stage(def, { limits: { maxState: 500 } }).start();
    await tick();
    stage.open(1);
    await tick();
    stage.acknowledge = false;
    stage.call("add");
    await tick();
    stage.call("grow");
    await tick();
    stage.news();
    said.length = 0;
    stage.closed(1);
    await tick();
    expect(said).toEqual([]);
    stage.ack();
    expect(stage.news()).toEqual(["stopped crashed state.too_large"]);
  });
});

describe("what is no output", () => {
  const def = actor({
    ...hooks,
    onWake: async (c) => {
      c.state.n++;
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    },
    actions: { add: (c) => ++c.state.n },
  });

  it("is not counted in a group that waits: the gateway would wait for it for ever [GATE-2]", async () => {
    const stage = new Stage(def);
    stage.acknowledge = false;
    stage.start();
    await tick();
    await tick();
    expect(stage.news()).toEqual(['commit 1 +0 state {"n":0}']);
    stage.ack();
    expect(stage.news()).toEqual(['commit 2 +0 state {"n":1}', "ready"]);
    stage.call("add");
    await tick();
    stage.say({ kind: "fence", actor: stage.port.ref, nonce: 1n });
    stage.call("add");
    await tick();
    stage.ack();
    expect(stage.news()).toEqual(['commit 3 +1 state {"n":2}', "result 1 2", "fence"]);
    stage.ack();
    expect(stage.news()).toEqual(['commit 4 +1 state {"n":3}', "result 2 3"]);
  });
});

describe("onCreate", () => {
  it("may write more than one commit holds: the first makes the actor [LIMIT-7] [FLUSH-1]", async () => {
    const def = actor({
      state: { n: 0 },
      onCreate: async (c) => {
        for (let i = 0; i < 25; i++) await c.kv.put(`k${i}`, "v");
        c.state.n = 25;
      },
      actions: {},
    });
    const stage = new Stage(def, { limits: { maxKvOperations: 10 } }).start();
    await tick();
    await tick();
    const commits = stage.commits.map(changesOf);
    expect(commits.map(({ kv }) => kv.length)).toEqual([10, 10, 5]);
    expect(commits[0]?.state).toBeDefined();
    expect(stage.news().at(-1)).toBe("ready");
  });

  it("that waits until all is durable waits for the first commit [FLUSH-1]", async () => {
    const def = actor({
      createState: () => ({ n: 1 }),
      onCreate: async (c) => {
        await (c as typeof c & Pick<ActorContext, "saveState">).saveState({ immediate: true });
        said.push("saved");
      },
      actions: {},
    });
    said.length = 0;
    const stage = new Stage(def);
    stage.acknowledge = false;
    stage.start();
    await tick();
    expect(stage.news()).toEqual(['commit 1 +0 state {"n":1}']);
    expect(said).toEqual([]);
    stage.ack();
    await tick();
    expect(said).toEqual(["saved"]);
    expect(stage.news()).toContain("ready");
  });
});

describe("answers", () => {
  it("of calls that do not run do not overtake what was sent before [GATE-1] [SESS-3]", async () => {
    const def = actor({ ...hooks, actions: { add: (c) => (c.broadcast("n", ++c.state.n), c.state.n) } });
    const stage = await hosted(def, [1]);
    stage.call("add", [], { connection: 1 });
    stage.call("missing", [], { connection: 1 });
    await tick();
    expect(stage.news().map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual(["commit 3", "emit n", "result 2", "result 3"]);
  });

  it("to calls and opens for which nobody waits any more when they may begin say that they did not run [CALL-11]", async () => {
    vi.useFakeTimers();
    const ran: string[] = [];
    const stage = new Stage(actor({
      state: {},
      onWake: () => gate("wake"),
      onBeforeConnect: () => void ran.push("open"),
      actions: { note: () => void ran.push("call") },
    }));
    stage.start();
    await tick();
    stage.news();
    const canceled = [stage.call("note"), stage.open(1)];
    const late = [stage.call("note", [], { deadlineMs: 500 }), stage.open(2, undefined, { deadlineMs: 500 })];
    for (const id of canceled) stage.say({ kind: "cancelCall", actor: 7, id, reason: "caller" });
    await vi.advanceTimersByTimeAsync(501);
    gates.get("wake")?.();
    await tick();
    vi.useRealTimers();
    const answer = (id: number) => stage.port.sent.filter((m) => m.kind === "callResult" && m.id === id);
    for (const id of canceled) expect(answer(id)).toMatchObject([{ error: { group: "action", code: "canceled", ran: "no" } }]);
    for (const id of late) expect(answer(id)).toMatchObject([{ error: { group: "action", code: "timed_out", ran: "no" } }]);
    expect(ran).toEqual([]);
  });

  it("to a fence come behind the outputs that wait for a commit [LINK-20]", async () => {
    const stage = await begin(actor({ state: { n: 0 }, actions: { add: (c) => ++c.state.n } }));
    stage.acknowledge = false;
    stage.call("add");
    await tick();
    stage.call("add");
    await tick();
    stage.say({ kind: "fence", nonce: 5n, actor: 7 });
    await tick();
    expect(stage.news()).toEqual(['commit 2 +1 state {"n":1}', "result 1 1"]);
    stage.ack();
    expect(stage.news()).toEqual(['commit 3 +1 state {"n":2}', "result 2 2", "fence"]);
  });
});

describe("a stop", () => {
  it("to sleep does not swallow the wish to be destroyed [COMMIT-6] [LIFE-6]", async () => {
    const def = actor({
      ...hooks,
      onDestroy: () => void said.push("destroy"),
      onSleep: () => void said.push("sleep"),
      actions: {
        close: async (c) => {
          await gate("close");
          c.destroy();
        },
      },
    });
    const stage = await hosted(def, [1]);
    const id = stage.call("close");
    stage.stop("drain");
    gates.get("close")?.();
    await tick();
    expect(stage.result(id)).toEqual({});
    expect(said).toEqual(["destroy", "gone c1"]);
    expect(stage.news().slice(-2)).toEqual(["commit 3 +0 destroy", "stopped destroyed"]);
  });

  it("that destroys tells onDisconnect once of connections that it disconnects itself [CONN-4] [LIFE-6]", async () => {
    const def = actor({
      state: { n: 0 },
      onDisconnect: async (c, conn) => {
        said.push(`gone ${conn.id}`);
        for (const other of c.conns.values()) void other.disconnect();
        await Promise.resolve();
      },
      onSleep: (c) => c.destroy(),
      actions: {},
    });
    for (const reason of ["destroy", "sleep"] as const) {
      const stage = await hosted(def, [1, 2, 3]);
      stage.stop(reason);
      await tick();
      expect(said).toEqual(["gone c1", "gone c2", "gone c3"]);
      expect(stage.news().at(-1)).toBe("stopped destroyed");
    }
  });

  it("whose grace is longer than a timer takes does not end at once", async () => {
    const def = actor({ ...hooks, actions: { wait: () => gate("grace") } });
    vi.useFakeTimers();
    const stage = await hosted(def, []);
    stage.call("wait");
    stage.stop("sleep", 2 ** 32 - 1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(stage.news()).toEqual([]);
    gates.get("grace")?.();
    await tick();
    expect(stage.news().at(-1)).toBe("stopped slept");
    vi.useRealTimers();
  });
});

describe("an open", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is answered by its deadline, however long its hooks may take [LIFE-12]", async () => {
    const def = actor({
      ...hooks,
      options: { onConnectTimeout: 600_000, onBeforeConnectTimeout: 600_000 },
      onBeforeConnect: (_c, params) => (params === "before" ? new Promise<void>(() => undefined) : undefined),
      onConnect: () => new Promise<void>(() => undefined),
      actions: {},
    });
    const stage = await hosted(def, []);
    const ids = [stage.open(1, "before", { deadlineMs: 1000 }), stage.open(2, "on", { deadlineMs: 1000 })];
    await vi.advanceTimersByTimeAsync(1100);
    expect(ids.map((id) => stage.result(id)?.error)).toEqual(["action.timed_out", "action.timed_out"]);
    expect(said).toEqual([]);
  });
});

describe("writes of KV", () => {
  const limits = { maxKvBatch: 2000, maxHeldBytes: 10_000, maxCommit: 5000 };
  let written = 0;
  const def = actor({
    ...hooks,
    actions: {
      fill: async (c) => {
        for (written = 0; written < 100; written++) await c.kv.put(`k${written}`, "x".repeat(1000));
      },
      flood: (c) => {
        for (let i = 0; i < 100; i++) void c.kv.put(`k${i}`, "x".repeat(1000)).catch((error: unknown) => said.push(String(error)));
      },
    },
  });

  it("that are awaited go no faster than commits are acknowledged", async () => {
    const stage = new Stage(def, { limits }).start();
    await tick();
    stage.acknowledge = false;
    const id = stage.call("fill");
    await tick();
    expect(written).toBeLessThan(15);
    for (let i = 0; i < 100 && written < 100; i++) {
      stage.ack();
      await tick();
    }
    stage.acknowledge = true;
    stage.ack();
    await tick();
    expect(stage.result(id)).toEqual({});
    expect(stage.commits.flatMap((m) => changesOf(m).kv).length).toBe(100);
  });

  it("that nobody awaits are refused where too much waits", async () => {
    const stage = new Stage(def, { limits }).start();
    await tick();
    said.length = 0;
    stage.acknowledge = false;
    stage.call("flood");
    await tick();
    expect(said.length).toBeGreaterThan(40);
    expect(said[0]).toContain("wait to be sent");
  });
});

describe("the gateway", () => {
  it("cannot take away the actor's own turns by canceling call 0", async () => {
    const def = actor({ ...hooks, actions: { wait: () => gate("zero") } });
    const stage = await hosted(def, []);
    stage.call("wait");
    stage.stop("sleep");
    stage.say({ kind: "cancelCall", actor: stage.port.ref, id: 0, reason: "caller" });
    gates.get("zero")?.();
    await tick();
    expect(stage.news().at(-1)).toBe("stopped slept");
  });
});
