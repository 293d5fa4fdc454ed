import { encode } from "@stagedoor/client/values";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { actor } from "../src/actor/actor.ts";
import { begin, Stage, stateOf, tick } from "./host-world.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

describe("a start", () => {
  const hooks = (said: string[]) =>
    actor({
      createState: (_, input: { n: number } | undefined) => {
        said.push(`createState ${JSON.stringify(input)}`);
        return { n: input?.n ?? 0 };
      },
      createVars: (c) => {
        said.push(`createVars ${c.state.n}`);
        return { v: 1 };
      },
      onCreate: async (c, input) => {
        await Promise.resolve();
        c.state.n++;
        said.push(`onCreate ${JSON.stringify(input)}`);
      },
      onWake: (c) => {
        said.push(`onWake ${c.state.n} ${c.vars.v}`);
      },
      run: async (c) => {
        said.push("run");
        await new Promise((resolve) => c.abortSignal.addEventListener("abort", resolve));
        said.push("run ends");
      },
      actions: { get: (c) => c.state.n },
    });

  it("that creates runs the hooks in their order, and commits before the vars", async () => {
    const said: string[] = [];
    const stage = new Stage(hooks(said)).start({ input: encode({ n: 4 }) });
    stage.call("get");
    await tick();
    expect(said).toEqual(['createState {"n":4}', 'onCreate {"n":4}', "createVars 5", "onWake 5 1", "run"]);
    expect(stage.news()).toEqual(['commit 1 +0 state {"n":5}', "ready", "result 1 5"]);
  });

  it("that wakes neither creates nor commits", async () => {
    const said: string[] = [];
    const stage = new Stage(hooks(said)).start({ create: false, state: encode({ n: 7 }) });
    await tick();
    expect(said).toEqual(["createVars 7", "onWake 7 1", "run"]);
    expect(stage.news()).toEqual(["ready"]);
  });

  it("does not commit before there is a state, however long createState takes", async () => {
    const slow = actor({
      createState: async (c) => {
        await c.kv.put("k", "v");
        await after(100);
        return { n: 1 };
      },
      actions: {},
    });
    const stage = new Stage(slow).start();
    await vi.advanceTimersByTimeAsync(99);
    expect(stage.news()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(stage.news()).toEqual(['commit 1 +0 state {"n":1}, put k', "ready"]);
  });

  it("of a constant gives each actor its own", async () => {
    const def = actor({ state: { list: [1] }, vars: { v: [1] }, actions: { push: (c) => [c.state.list.push(2), c.vars.v.push(2)] } });
    for (let i = 0; i < 2; i++) {
      const stage = await begin(def);
      const id = stage.call("push");
      await tick();
      expect(stage.result(id)).toEqual({ output: [2, 2] });
    }
  });

  it.each<[string, object, string, number]>([
    ["createState", { createState: () => { throw new Error("broken"); } }, "internal.error", 0],
    ["onWake", { state: { n: 1 }, onWake: () => Promise.reject(new Error("broken")) }, "internal.error", 1],
    ["a state that cannot be stored", { createState: () => ({ f: () => 0 }) }, "internal.error", 0],
  ])("that fails in %s says so, and gives calls back", async (_, config, code, commits) => {
    const stage = new Stage(actor({ actions: {}, ...config }));
    stage.acknowledge = false;
    stage.start();
    stage.call("x");
    await tick();
    const news = stage.news().filter((line) => !line.startsWith("commit"));
    expect(news[0]).toBe("result 1 actor.stopping");
    expect(stage.result(1)?.notRun).toBe(true);
    if (commits > 0) {
      expect(news).toHaveLength(1); // behind the commit
      stage.ack();
      expect(stage.news()).toEqual([`stopped startFailed ${code}`]);
    } else {
      expect(news[1]).toBe(`stopped startFailed ${code}`);
    }
    expect(stage.port.closed).toBe(true);
    expect(stage.host.size).toBe(0);
  });

  it("with a state that is too large fails", async () => {
    const stage = new Stage(actor({ createState: () => ({ text: "x".repeat(100) }), actions: {} }), { limits: { maxState: 50 } }).start();
    await tick();
    expect(stage.news()).toEqual(["stopped startFailed state.too_large"]);
  });

  it("that takes too long fails", async () => {
    const stage = new Stage(actor({ createState: () => after(1e9), actions: {} })).start();
    await vi.advanceTimersByTimeAsync(5000);
    expect(stage.news()).toEqual(["stopped startFailed action.timed_out"]);
  });

  it("with a state that cannot be decoded fails", async () => {
    const stage = new Stage(actor({ state: {}, actions: {} })).start({ create: false, state: new Uint8Array([0xff]) });
    await tick();
    expect(stage.news()).toEqual(["stopped startFailed state.invalid"]);
  });

  it("without a declared state commits one all the same, and c.state says what is missing", async () => {
    const stage = new Stage(actor({ actions: { get: (c) => c.state, vars: (c) => c.vars } })).start();
    await tick();
    expect(stage.news()[1]).toBe("ready");
    expect(stage.result(stage.call("get"))).toMatchObject({ error: "state.invalid", message: expect.stringContaining("declares no state") as string });
    expect(stage.result(stage.call("vars"))).toMatchObject({ error: "state.invalid", message: expect.stringContaining("declares no vars") as string });
  });
});

describe("sleep", () => {
  const def = actor({
    state: { n: 0 },
    options: { sleepTimeout: 1000 },
    onSleep: (c) => {
      c.state.n = -1;
    },
    actions: {
      add: (c) => ++c.state.n,
      slow: async (c) => {
        await after(3000);
        return c.abortSignal.aborted;
      },
      now: (c) => c.sleep(),
      hold: (c, ms: number) => void c.keepAwake(after(ms)),
      task: (c, ms: number) => c.waitUntil(after(ms)),
      late: (c) => {
        setTimeout(() => c.state.n++, 100);
      },
    },
  });

  it("is asked for after a whole rest, and again after another", async () => {
    const stage = await begin(def);
    await vi.advanceTimersByTimeAsync(900);
    stage.call("add");
    await vi.advanceTimersByTimeAsync(999);
    expect(stage.news()).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(2);
    expect(stage.news()).toEqual(["intent sleep"]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(stage.news()).toEqual(["intent sleep"]);
  });

  it("is asked for after the gateway's time where the type has none [SLEEP-1]", async () => {
    const stage = await begin(actor({ state: { n: 0 }, actions: {} }));
    await vi.advanceTimersByTimeAsync(29_900);
    expect(stage.news()).not.toContain("intent sleep");
    await vi.advanceTimersByTimeAsync(200);
    expect(stage.news()).toContain("intent sleep");
  });

  it("waits for calls that run, and for keepAwake", async () => {
    const stage = await begin(def);
    stage.call("slow");
    stage.call("hold", [5000]);
    await vi.advanceTimersByTimeAsync(5500);
    expect(stage.news()).toEqual(["result 2", "result 1 false"]);
    await vi.advanceTimersByTimeAsync(1400);
    expect(stage.news()).toEqual(["intent sleep"]);
  });

  it("does not wait for what is given to waitUntil, nor begins to count anew when that ends [SLEEP-1]", async () => {
    const stage = await begin(def);
    stage.call("task", [900]);
    stage.call("task", [1e9]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(stage.news()).toEqual(["result 1", "result 2", "intent sleep"]);
    stage.call("now");
    await tick();
    expect(stage.news()).toEqual(["result 3", "intent sleep"]);
  });

  it("is asked for by the actor itself while run runs, and after a whole rest behind its end [SLEEP-1]", async () => {
    const stage = await begin(
      actor({ state: {}, options: { sleepTimeout: 1000 }, run: () => after(5000), actions: { now: (c) => c.sleep() } }),
    );
    await vi.advanceTimersByTimeAsync(5900);
    expect(stage.news()).toEqual([]);
    await vi.advanceTimersByTimeAsync(200);
    expect(stage.news()).toEqual(["intent sleep"]);
    const wishing = await begin(
      actor({ state: {}, options: { sleepTimeout: 1000 }, run: () => after(5000), actions: { now: (c) => c.sleep() } }),
    );
    wishing.call("now");
    await tick();
    expect(wishing.news()).toContain("intent sleep");
  });

  it("is never asked for with noSleep, or while run runs", async () => {
    for (const more of [{ options: { noSleep: true } }, { options: { sleepTimeout: 1000 }, run: () => new Promise<void>(() => undefined) }]) {
      const stage = await begin(actor({ state: {}, actions: {}, ...more }));
      await vi.advanceTimersByTimeAsync(100_000);
      expect(stage.news()).toEqual([]);
    }
  });

  it("can be asked for by the actor, behind the answer", async () => {
    const stage = await begin(def);
    stage.call("now");
    await tick();
    expect(stage.news()).toEqual(["result 1", "intent sleep"]);
  });

  it("runs onSleep, commits, and says that it slept when the commit is answered", async () => {
    const stage = await begin(def);
    stage.acknowledge = false;
    stage.stop("sleep");
    await tick();
    expect(stage.news()).toEqual(['commit 2 +0 state {"n":-1}']);
    stage.call("add");
    expect(stage.news()).toEqual(["result 1 actor.stopping"]);
    stage.ack();
    expect(stage.news()).toEqual(["stopped slept"]);
    expect(stage.result(1)?.notRun).toBe(true);
    expect(stage.port.closed).toBe(true);
    expect(stage.host.size).toBe(0);
  });

  it("waits for running calls, whose signal is aborted, and for waitUntil", async () => {
    const stage = await begin(def);
    stage.call("slow");
    stage.call("task", [5000]);
    stage.stop("sleep");
    await vi.advanceTimersByTimeAsync(4999);
    expect(stage.news()).toEqual(["result 2", "result 1 true"]);
    await vi.advanceTimersByTimeAsync(2);
    expect(stage.news()).toEqual(['commit 2 +0 state {"n":-1}', "stopped slept"]);
  });

  it("takes most of the grace for outside work, then goes on without it", async () => {
    const stage = await begin(def);
    stage.call("task", [1e9]);
    stage.stop("sleep", 1000);
    await vi.advanceTimersByTimeAsync(749);
    expect(stage.news()).toEqual(["result 1"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(stage.news().at(-1)).toBe("stopped slept");
  });

  it("ends at the end of the grace, whatever runs", async () => {
    const stage = await begin(def);
    stage.call("slow");
    stage.stop("drain", 1000);
    await vi.advanceTimersByTimeAsync(1000);
    expect(stage.news()).toEqual(["stopped fenced"]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(stage.news()).toEqual([]);
  });

  it("saves what timers change, and drops what they change later", async () => {
    const stage = await begin(def);
    stage.call("late");
    await vi.advanceTimersByTimeAsync(101);
    expect(stage.news()).toEqual(["result 1", 'commit 2 +0 state {"n":1}']);
    stage.call("late");
    stage.stop("fenced");
    await vi.advanceTimersByTimeAsync(101);
    expect(stage.news()).toEqual(["result 2", "stopped fenced"]);
  });
});

describe("destroy", () => {
  const said: string[] = [];
  const def = actor({
    state: { n: 0 },
    onDestroy: () => {
      said.push("onDestroy");
    },
    onDisconnect: (_, conn) => {
      said.push(`gone ${conn.id}`);
    },
    actions: { end: (c) => (c.destroy(), "bye"), add: (c) => ++c.state.n },
  });

  it("is asked for before the answer, and removes all", async () => {
    const stage = await begin(def);
    stage.open(1);
    stage.open(2);
    await tick();
    stage.news();
    said.length = 0;
    stage.call("add");
    stage.call("end");
    await tick();
    expect(stage.news()).toEqual(["intent destroy", 'commit 3 +2 state {"n":1}', "result 3 1", 'result 4 "bye"']);
    stage.stop("destroy");
    await tick();
    expect(said).toEqual(["onDestroy", "gone c1", "gone c2"]);
    expect(stage.news()).toEqual(["commit 4 +0 destroy", "stopped destroyed"]);
  });
});

describe("the end by others", () => {
  const def = actor({ state: { n: 0 }, actions: { add: (c) => ++c.state.n, save: (c) => c.saveState({ immediate: true }), slow: () => after(100) } });

  it("by a refused commit sends nothing more", async () => {
    const stage = await begin(def);
    stage.acknowledge = false;
    stage.call("add");
    await tick();
    stage.news();
    stage.ack({ group: "actor", code: "fenced", message: "", retryable: true, ran: "maybe", retryAfterMs: 0 });
    expect(stage.news()).toEqual(["stopped fenced"]);
    expect(stage.port.closed).toBe(true);
  });

  it("by its own state, too large: the turns since the last commit fail, and the actor restarts from there", async () => {
    const big = actor({ state: { text: "" }, actions: { grow: (c, n: number) => (c.state.text = "x".repeat(n)).length, slow: () => after(100) } });
    const stage = await begin(big, { limits: { maxState: 1000 } });
    stage.call("slow");
    stage.call("grow", [2000]);
    await tick();
    expect(stage.news()).toEqual(["result 2 state.too_large", "result 1 state.too_large", "stopped crashed state.too_large"]);
    await vi.advanceTimersByTimeAsync(100);
    expect(stage.news()).toEqual([]);
  });

  it("by a drop of the link is silent", async () => {
    const stage = await begin(def);
    stage.call("slow");
    stage.seat.drop();
    await vi.advanceTimersByTimeAsync(100);
    expect(stage.news()).toEqual([]);
    expect(stage.host.size).toBe(0);
  });

  it("saveState waits until the change is durable, and is rejected where it never will be", async () => {
    const stage = await begin(def);
    stage.acknowledge = false;
    stage.call("add");
    const saving = stage.call("save");
    await tick();
    expect(stage.news()).toEqual(['commit 2 +1 state {"n":1}', "result 1 1"]);
    stage.ack();
    await tick();
    expect(stage.news()).toEqual([`result ${saving}`]);
    expect(stateOf(stage.commits.at(-1))).toEqual({ n: 1 });
  });
});

describe("turns", () => {
  const actions = {
    slow: async (c: { state: { n: number }; abortSignal: AbortSignal }, ms: number) => {
      c.state.n++;
      await Promise.race([after(ms), new Promise((_, reject) => c.abortSignal.addEventListener("abort", () => reject(c.abortSignal.reason as Error)))]);
      return ++c.state.n;
    },
    get: (c: { state: { n: number } }) => c.state.n,
    hang: () => new Promise(() => undefined),
  };
  const interleaved = actor({ state: { n: 0 }, options: { actionTimeout: 10_000 }, actions });
  const serial = actor({ state: { n: 0 }, options: { concurrency: "serial", actionTimeout: 10_000 }, actions });

  it("of a serial actor run one at a time", async () => {
    const stage = await begin(serial);
    stage.call("slow", [100]);
    stage.call("slow", [100]);
    stage.call("get");
    await vi.advanceTimersByTimeAsync(201);
    expect([1, 2, 3].map((id) => stage.result(id)?.output)).toEqual([2, 4, 4]);
  });

  it("of others begin in arrival order, and do not wait for each other [TURN-8]", async () => {
    const stage = await begin(interleaved);
    stage.call("slow", [100]);
    stage.call("slow", [50]);
    stage.call("get");
    await vi.advanceTimersByTimeAsync(101);
    expect([1, 2, 3].map((id) => stage.result(id)?.output)).toEqual([4, 3, 2]);
  });

  it("have a time, of the type or of the caller; what is hung does not hold up the next", async () => {
    const stage = await begin(serial);
    stage.call("hang");
    stage.call("hang", [], { deadlineMs: 12_000 });
    stage.call("get", [], { deadlineMs: 11_000 });
    stage.call("get");
    await vi.advanceTimersByTimeAsync(9_999);
    expect(stage.result(1)).toBeUndefined();
    await vi.advanceTimersByTimeAsync(2_002);
    expect(stage.result(1)).toMatchObject({ error: "action.timed_out" });
    expect(stage.result(2)).toMatchObject({ error: "action.timed_out" });
    expect(stage.port.sent.find((m) => m.kind === "callResult" && m.id === 3)).toMatchObject({ error: { code: "timed_out", ran: "no" } });
    expect(stage.result(4)).toEqual({ output: 0 });
  });

  it("that are canceled see it, and those that have not begun never run", async () => {
    const stage = await begin(serial);
    stage.call("slow", [1000]);
    stage.call("slow", [1000]);
    stage.say({ kind: "cancelCall", actor: 7, id: 2, reason: "caller" });
    expect(stage.result(2)).toMatchObject({ error: "action.canceled" });
    stage.say({ kind: "cancelCall", actor: 7, id: 1, reason: "caller" });
    await tick();
    expect(stage.result(1)).toMatchObject({ error: "action.canceled" });
    expect(stateOf(stage.commits.at(-1))).toEqual({ n: 1 });
  });

  it("begin only while the lease is valid", async () => {
    const stage = await begin(interleaved);
    stage.port.lease = false;
    stage.call("get");
    await tick();
    expect(stage.news()).toEqual([]);
    stage.port.lease = true;
    stage.seat.leased();
    expect(stage.news()).toEqual(["result 1 0"]);
  });

  it("of a fence are empty, and come behind what was changed before", async () => {
    const stage = await begin(interleaved);
    stage.call("slow", [1e6]);
    stage.say({ kind: "fence", nonce: 5n, actor: 7 });
    expect(stage.news()).toEqual(['commit 2 +0 state {"n":1}', "fence"]);
  });
});

describe("c.client()", () => {
  it("is told to wait until what was changed is durable", async () => {
    const said: unknown[] = [];
    const def = actor({
      state: { n: 0 },
      actions: {
        go: async (c) => {
          const client = c.client() as unknown as { settle: () => Promise<void> | undefined };
          said.push(client === (c.client() as unknown), client.settle());
          c.state.n++;
          await client.settle();
          said.push("left");
        },
      },
    });
    const stage = new Stage(def, {}, { clientFor: (settle) => ({ settle }) }).start();
    await tick();
    stage.acknowledge = false;
    stage.news();
    stage.call("go");
    await tick();
    expect(stage.news()).toEqual(['commit 2 +0 state {"n":1}']);
    expect(said).toEqual([true, undefined]);
    stage.ack();
    await tick();
    expect(said.at(-1)).toBe("left");
    expect(stage.news()).toEqual(["result 1"]);
  });
});

describe("a promise of another kind", () => {
  it("is awaited; one that fails on the way fails the call alone", async () => {
    const def = actor({
      state: {},
      actions: {
        eager: () => ({ then: (resolve: (value: number) => void) => resolve(5) }),
        hostile: () => ({
          get then(): never {
            throw new Error("no");
          },
        }),
        get: () => 1,
      },
    });
    const stage = await begin(def);
    for (const action of ["eager", "hostile", "get"]) stage.call(action);
    await tick();
    expect([1, 2, 3].map((id) => stage.result(id)?.error ?? stage.result(id)?.output)).toEqual([5, "internal.error", 1]);
  });
});

describe("onStateChange", () => {
  it("is called once per turn with the last state, not for reads, and may not change it", async () => {
    const seen: unknown[] = [];
    const def = actor({
      state: { n: 0 },
      onStateChange: (c, state) => {
        seen.push({ ...state });
        if (state.n === 2) expect(() => c.state.n++).toThrow("onStateChange");
        c.broadcast("changed", state);
      },
      actions: { add: (c) => (c.state.n++, c.state.n++), get: (c) => c.state.n, whole: (c) => void (c.state = { n: 9 }) },
    });
    const stage = await begin(def);
    stage.open(1);
    await tick();
    stage.news();
    stage.call("add");
    stage.call("get");
    await tick();
    stage.call("whole");
    await tick();
    expect(seen).toEqual([{ n: 2 }, { n: 9 }]);
    expect(stage.news()).toEqual([
      'commit 2 +3 state {"n":2}', 'emit changed [{"n":2}]', "result 2 1", "result 3 2", 'commit 3 +2 state {"n":9}', 'emit changed [{"n":9}]', "result 4",
    ]);
  });
});

describe("onBeforeActionResponse", () => {
  it("may replace the output", async () => {
    const def = actor({
      state: {},
      onBeforeActionResponse: async <Out>(_: unknown, name: string, args: unknown[], output: Out) => ({ name, args, output }) as Out,
      actions: { echo: (_, x: number) => x },
    });
    const stage = await begin(def);
    stage.call("echo", [1]);
    await tick();
    expect(stage.result(1)).toEqual({ output: { name: "echo", args: [1], output: 1 } });
  });
});
