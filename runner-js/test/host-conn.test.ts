import { encode } from "@stagedoor/client/values";
import { describe, expect, it } from "vitest";
import { actor } from "../src/actor/actor.ts";
import { event } from "../src/actor/event.ts";
import { UserError } from "../src/error.ts";
import { begin, Stage, tick } from "./host-world.ts";

const said: string[] = [];
const room = actor({
  state: { n: 0 },
  createConnState: (c, params: { name: string } | undefined) => {
    said.push(`createConnState ${params?.name}`);
    if (params?.name === "unnamed") throw new UserError("who?", { code: "unnamed" });
    return { name: params?.name ?? "", seen: 0 };
  },
  onBeforeConnect: async (c, params) => {
    await Promise.resolve();
    said.push(`onBeforeConnect ${c.conns.size} ${c.request.url}`);
    if (params?.name === "forbidden") throw new Error("no");
  },
  onConnect: (c, conn) => {
    said.push(`onConnect ${c.conns.get(conn.id) === conn}`);
    if (conn.state.name === "late") throw new UserError("late");
    if (conn.state.name === "kicked") void conn.disconnect("at once");
    conn.send("welcome", conn.state.name);
  },
  onDisconnect: async (c, conn) => {
    await Promise.resolve();
    said.push(`onDisconnect ${conn.state.name} ${c.conns.size}`);
    c.state.n++;
  },
  actions: {
    all: (c, text: string) => c.broadcast("message", text),
    others: (c) => {
      for (const conn of c.conns.values()) if (conn !== c.conn) conn.send("other", 1);
      return c.conn?.id;
    },
    kick: (c, id: string) => c.conns.get(id)?.disconnect("bye"),
    seen: (c) => (c.conn ? ++c.conn.state.seen : 0),
    whole: (c) => void (c.conn && (c.conn.state = { name: "new", seen: 0 })),
    bad: (c) => void (c.conn && (c.conn.state = { name: "x".repeat(70_000), seen: 0 })),
    broken: (c) => void (c.conn && ((c.conn.state as unknown as Record<string, unknown>)["f"] = () => 0)),
    mess: (c) => (c.conns as Map<string, never>).clear(),
    ids: (c) => [...c.conns.keys()],
  },
});

describe("an open", () => {
  it("runs the hooks in order, and is answered with the commit that records it; what onConnect sends follows", async () => {
    said.length = 0;
    const stage = await begin(room);
    stage.open(1, { name: "ann" });
    await tick();
    expect(said).toEqual(["onBeforeConnect 0 http://actor/thing:a:b", "createConnState ann", "onConnect true"]);
    const news = stage.news();
    expect(news).toContain("emit welcome to 1 [\"ann\"]");
    expect(news.indexOf("result 1")).toBeGreaterThan(news.indexOf("commit 2 +2 added c1"));
    expect(news).toContain('connState 1 {"name":"ann","seen":0}');
  });

  it.each([
    ["onBeforeConnect", "forbidden", "internal.error"],
    ["createConnState", "unnamed", "user.unnamed"],
    ["onConnect", "late", "user.user_error"],
  ])("is refused by an error of %s, without onDisconnect", async (_, name, code) => {
    const stage = await begin(room);
    said.length = 0;
    stage.open(1, { name });
    await tick();
    expect(stage.news()).toEqual([`result 1 ${code}`]);
    expect(stage.result(stage.call("ids"))).toEqual({ output: [] });
    expect(said.some((line) => line.startsWith("onDisconnect"))).toBe(false);
  });

  it("with params that are no CBOR is refused", async () => {
    const stage = await begin(room);
    stage.open(1, undefined, { params: new Uint8Array([0xff]) });
    await tick();
    expect(stage.news()).toEqual(["result 1 request.invalid_payload"]);
  });

  it("that disconnects in onConnect is answered, closed, and gone", async () => {
    const stage = await begin(room);
    said.length = 0;
    stage.open(1, { name: "kicked" });
    await tick();
    const news = stage.news();
    expect(news.indexOf("close 1 connection.disconnected at once")).toBeGreaterThan(news.indexOf("result 1"));
    expect(said.at(-1)).toBe("onDisconnect kicked 0");
  });

  it("whose client leaves meanwhile runs onDisconnect behind it", async () => {
    const stage = await begin(room);
    said.length = 0;
    stage.open(1, { name: "ann" });
    stage.closed(1);
    await tick();
    expect(said.slice(-2)).toEqual(["onConnect true", "onDisconnect ann 0"]);
    expect(stage.news()[1]).toBe('commit 2 +2 state {"n":1}, added c1, removed c1');
  });

  it("costs no commit where nobody handles its end", async () => {
    const stage = await begin(actor({ state: {}, actions: {} }));
    stage.open(1);
    await tick();
    expect(stage.news()).toEqual(["result 1"]);
  });
});

describe("connections", () => {
  async function three(): Promise<Stage> {
    const stage = await begin(room);
    for (const ref of [1, 2, 3]) stage.open(ref, { name: `n${ref}` });
    await tick();
    stage.news();
    said.length = 0;
    return stage;
  }

  it("get broadcasts by one event, and their own by ref; the caller's is c.conn", async () => {
    const stage = await three();
    stage.call("all", ["hi"], { connection: 2 });
    stage.call("others", [], { connection: 2 });
    expect(stage.news()).toEqual(['emit message ["hi"]', "result 4", "emit other to 1 [1]", "emit other to 3 [1]", 'result 5 "c2"']);
  });

  it("keep their state with the gateway, once per flush, in front of the answer", async () => {
    const stage = await three();
    stage.call("seen", [], { connection: 1 });
    await tick();
    expect(stage.news()).toEqual(['connState 1 {"name":"n1","seen":1}', "result 4 1"]);
    stage.call("whole", [], { connection: 1 });
    await tick();
    expect(stage.news()).toEqual(['connState 1 {"name":"new","seen":0}', "result 5"]);
  });

  it("refuse a state that is too large, or cannot be stored", async () => {
    const stage = await three();
    const bad = stage.call("bad", [], { connection: 1 });
    const broken = stage.call("broken", [], { connection: 2 });
    await tick();
    expect(stage.result(bad)).toMatchObject({ error: "connection.state_too_large" });
    expect(stage.result(broken)).toMatchObject({ error: "internal.error" });
  });

  it("are a map that only the host changes", async () => {
    const stage = await three();
    expect(stage.result(stage.call("mess"))).toMatchObject({ error: "internal.error" });
    expect(stage.result(stage.call("ids"))).toEqual({ output: ["c1", "c2", "c3"] });
  });

  it("are disconnected once, whoever is first", async () => {
    const stage = await three();
    stage.call("kick", ["c2"]);
    stage.closed(2);
    stage.call("kick", ["c2"]);
    stage.closed(3);
    stage.closed(3);
    await tick();
    expect(said.sort()).toEqual(["onDisconnect n2 1", "onDisconnect n3 1"]);
    expect(stage.news()).toEqual(["close 2 connection.disconnected bye", "result 5", "result 4", 'commit 3 +0 state {"n":2}, removed c2,c3']);
    expect(stage.result(stage.call("others", [], { connection: 2 }))).toMatchObject({ error: "action.canceled" });
  });

  it("that were restored come back silently, with their state; those that have gone are handled first", async () => {
    said.length = 0;
    const stage = new Stage(room).start({
      create: false, state: encode({ n: 5 }), restoredConnections: 1,
      goneConnections: [{ connectionId: "old", params: new Uint8Array(), state: encode({ name: "ghost", seen: 9 }) }],
    });
    await tick();
    expect(stage.news()).toEqual([]);
    stage.open(4, { name: "x" }, { restored: true, connectionId: "kept", state: encode({ name: "kept", seen: 7 }) });
    stage.call("seen", [], { connection: 4 });
    await tick();
    expect(said).toEqual(["onDisconnect ghost 1"]);
    expect(stage.news()).toEqual(["ready", 'commit 4 +2 state {"n":6}, removed old', 'connState 4 {"name":"kept","seen":8}', "result 1 8"]);
  });
});

describe("events", () => {
  const declared = actor({
    state: { n: 0 },
    events: { count: event<number>() },
    actions: {
      good: (c) => {
        c.state.n++;
        c.broadcast("count", 1);
      },
      bad: (c) => (c.broadcast as (name: string) => void)("other"),
      unsendable: (c) => c.broadcast("count", (() => 0) as unknown as number),
      large: (c) => c.broadcast("count", "x".repeat(2000) as unknown as number),
      many: (c, n: number) => {
        for (let i = 0; i < n; i++) c.broadcast("count", i);
      },
    },
  });
  const opened = async (session = {}) => {
    const stage = await begin(declared, session);
    stage.open(1);
    await tick();
    stage.news();
    return stage;
  };

  it("that are not declared, cannot be encoded, or are too large fail where they are sent", async () => {
    const stage = await opened({ limits: { maxEvent: 1000 } });
    for (const [action, error] of [["bad", "event.not_found"], ["unsendable", "internal.error"], ["large", "event.too_large"]] as const) {
      expect(stage.result(stage.call(action))).toMatchObject({ error });
    }
  });

  it("belong to the commit of their turn; what no group holds follows it", async () => {
    const stage = await opened({ limits: { maxGroupOutputs: 2 } });
    stage.acknowledge = false;
    stage.call("good");
    stage.call("many", [3]);
    await tick();
    expect(stage.news()).toEqual(['commit 2 +2 state {"n":1}', "emit count [1]", "result 2", "emit count [0]", "emit count [1]", "emit count [2]", "result 3"]);
  });

  it("are unreliable where they are declared or sent so, and wait for their commit like others [CONN-11]", async () => {
    const stage = await begin(actor({
      state: { n: 0 },
      events: { count: event<number>(), at: event<[x: number, y: number]>({ unreliable: true }) },
      actions: {
        go: (c) => {
          c.state.n++;
          c.broadcastUnreliable("count", 1);
          c.conn?.sendUnreliable("count", 2);
          c.broadcast("at", 3, 4);
          c.conn?.send("at", 5, 6);
          c.broadcast("count", 7);
          c.conn?.send("count", 8);
        },
      },
    }));
    stage.acknowledge = false;
    stage.open(1);
    await tick();
    stage.news();
    stage.call("go", [], { connection: 1 });
    await tick();
    stage.ack();
    await tick();
    expect(stage.news()).toEqual([
      'commit 2 +7 state {"n":1}', "emit count [1] unreliable", "emit count to 1 [2] unreliable", "emit at [3,4] unreliable",
      "emit at to 1 [5,6] unreliable", "emit count [7]", "emit count to 1 [8]", "result 2",
    ]);
  });

  it("that are unreliable have 1,000 bytes with their name", async () => {
    const head = 4; // of an array and of its text
    const stage = await begin(actor({
      actions: {
        unreliable: (c, text: string) => c.broadcastUnreliable("naïve", text),
        one: (c, text: string) => c.conn?.sendUnreliable("naïve", text),
        reliable: (c, text: string) => c.broadcast("naïve", text),
      },
    }));
    stage.open(1);
    await tick();
    stage.news();
    const most = "x".repeat(1000 - Buffer.byteLength("naïve") - head);
    for (const action of ["unreliable", "one"]) {
      expect(stage.result(stage.call(action, [most], { connection: 1 }))).toEqual({});
      expect(stage.result(stage.call(action, [`${most}x`], { connection: 1 }))).toMatchObject({ error: "event.too_large" });
    }
    expect(stage.result(stage.call("reliable", [`${most}x`]))).toEqual({});
    expect(stage.news().filter((line) => line.startsWith("emit"))).toEqual([
      `emit naïve ["${most}"] unreliable`, `emit naïve to 1 ["${most}"] unreliable`, `emit naïve ["${most}x"]`,
    ]);
  });

  it("without credit wait, and everything behind them", async () => {
    const stage = await opened();
    stage.port.credit = 150;
    stage.call("many", [3]);
    expect(stage.news()).toEqual(["emit count [0]", "emit count [1]"]);
    stage.port.credit = 1000;
    stage.seat.writable();
    expect(stage.news()).toEqual(["emit count [2]", "result 2"]);
  });

  it("hold up turns where too much waits", async () => {
    const stage = await opened({ limits: { maxHeldBytes: 2000 } });
    stage.port.credit = 0;
    stage.call("many", [20]);
    stage.call("good");
    await tick();
    expect(stage.news()).toEqual([]);
    stage.port.credit = undefined;
    stage.seat.writable();
    await tick();
    expect(stage.news().at(-1)).toBe("result 3");
  });

  it("are not sent without end by a turn that never awaits", async () => {
    const stage = await opened({ limits: { maxHeldBytes: 2000 } });
    stage.port.credit = 0;
    stage.call("many", [1000]);
    stage.port.credit = undefined;
    stage.seat.writable();
    expect(stage.result(2)).toMatchObject({ error: "internal.error" });
  });

  it("behind an unanswered commit are sent up to what the gateway holds", async () => {
    const stage = await opened({ limits: { maxHeldBytes: 2000 } });
    stage.acknowledge = false;
    stage.call("good");
    await tick();
    stage.call("many", [12]);
    const before = stage.news().length;
    expect(before).toBeLessThan(14);
    stage.ack();
    expect(before + stage.news().length).toBe(3 + 13);
  });
});
