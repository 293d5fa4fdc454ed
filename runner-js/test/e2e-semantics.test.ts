// Row by row what an actor may count on, against a real gateway, by sessions in both forms. The sections are those of the comparison
// with the reference that this package mirrors: state, actions, connections, life.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient, type Client } from "@stagedoor/client";
import { startGateway, type Gateway } from "../../clients/js/test/gateway.ts";
import { actor } from "../src/actor/actor.ts";
import { UserError } from "../src/error.ts";
import { createHost } from "../src/host/index.ts";
import { runLink } from "../src/link/index.ts";
import { linesOf, until } from "./e2e-world.ts";


/** What hooks have said, by the actor's key. */
const said = new Map<string, string[]>();
function say(c: { key: readonly string[] }, what: string): void {
  said.set(c.key[0]!, [...(said.get(c.key[0]!) ?? []), what]);
}
/** Promises that actions wait for, by name. */
const gates = new Map<string, () => void>();
const gate = (name: string) => new Promise<void>((resolve) => gates.set(name, resolve));
async function open(name: string): Promise<void> {
  await until(() => gates.has(name));
  gates.get(name)?.();
  gates.delete(name);
}

const stateful = actor({
  createState: (c, input: { n: number } | null | 0 | undefined) => {
    say(c, `createState ${JSON.stringify(input)}`);
    return { n: 1, nested: { list: [{ v: 1 }], map: new Map([[0, { v: 0 }]]), set: new Set<number>(), when: new Date(0), bytes: new Uint8Array(2) } };
  },
  createVars: () => ({ started: 0, target: new EventTarget() }),
  onStateChange: (c, state) => say(c, `changed ${state.n}`),
  onWake: (c) => void c.vars.started++,
  onSleep: (c) => say(c, "onSleep"),
  actions: {
    touchAll: (c) => {
      const { nested } = c.state;
      nested.list[0]!.v = 2;
      nested.map.set(1, { v: 1 });
      nested.map.get(1)!.v++;
      nested.set.add(5);
      nested.when.setTime(1000);
      nested.bytes[1] = 7;
    },
    all: (c) => c.state,
    add: (c, by: number) => (c.state.n += by),
    addTwice: (c) => (c.state.n++, c.state.n++),
    count: (c) => ++c.vars.started,
    keep: async (c) => {
      c.state.n += 10;
      await c.saveState({ immediate: true });
      await c.saveState();
    },
    unstorable: (c) => {
      try {
        (c.state as unknown as { nested: { list: unknown[] } }).nested.list.push({ deep: [() => 0] });
      } catch (error) {
        return [(error as Error).name, (error as Error).message, c.state.nested.list.length];
      }
      return undefined;
    },
    failing: (c) => {
      c.state.n = 50;
      throw new UserError("after the change");
    },
    sleep: (c) => c.sleep(),
  },
});

const acting = actor({
  state: { order: [] as string[] },
  options: { actionTimeout: 300 },
  onBeforeActionResponse: async <Out>(_c: unknown, name: string, _args: unknown[], output: Out) => (name === "replaced" ? "another" : output) as Out,
  actions: {
    wait: async (c, name: string) => {
      c.state.order.push(`${name} begins`);
      await gate(name);
      c.state.order.push(`${name} ends`);
      return name;
    },
    order: (c) => c.state.order,
    users: { add: (_c, name: string) => `added ${name}`, list: () => [] },
    send: () => "an action called send",
    nothing: () => undefined,
    nulls: () => null,
    zero: () => 0,
    replaced: () => "one",
    hang: () => new Promise(() => undefined),
    aborted: (c) =>
      new Promise((resolve) => {
        c.abortSignal.addEventListener("abort", () => resolve(say(c, "aborted")));
      }),
    large: () => "x".repeat(2 << 20),
    unsendable: () => ({ f: () => 0 }),
    conn: (c) => c.conn?.id,
    throws: () => {
      throw new TypeError("internal text");
    },
    throwsText: () => {
      throw "text"; // eslint-disable-line @typescript-eslint/only-throw-error
    },
  },
});

const living = actor({
  state: { starts: 0, n: 0 },
  options: { sleepTimeout: 150 },
  onCreate: (c) => say(c, "onCreate"),
  onWake: (c) => {
    c.state.starts++;
    say(c, "onWake");
  },
  onSleep: (c) => {
    c.state.n += 100;
    say(c, "onSleep");
  },
  onDestroy: (c) => say(c, "onDestroy"),
  run: async (c) => {
    if (c.key[1] !== "running") return;
    say(c, "run");
    await new Promise((resolve) => c.abortSignal.addEventListener("abort", resolve));
    c.state.n += 1000;
    say(c, "run ends");
  },
  actions: {
    starts: (c) => [c.state.starts, c.state.n],
    hold: (c, name: string) => {
      void c.keepAwake(gate(name));
    },
    task: (c, name: string) => c.waitUntil(gate(name).then(() => void (c.state.n += 1))),
    sleep: (c) => c.sleep(),
    destroy: (c) => c.destroy(),
    background: (c) => {
      setTimeout(() => {
        c.state.n = 7;
        say(c, "background");
      }, 20);
    },
  },
});

const types = { stateful, acting, living };
type Types = { config: { use: typeof types } };

let g: Gateway;
const stopping = new AbortController();
let ended: Promise<void>;

beforeAll(async () => {
  g = await startGateway();
  const log = linesOf();
  const host = createHost(types, { log });
  await new Promise<void>((onReady) => {
    ended = runLink({ endpoint: g.url, host, log, signal: stopping.signal, drainTimeoutMs: 5000, onReady });
  });
});
afterAll(async () => {
  stopping.abort();
  await ended;
  await g.kill();
});

let last = 0;
const fresh = () => `k${++last}`;

/** failure is what a promise is rejected with. */
const failure = (promise: Promise<unknown>) => promise.then(() => "none", (e: { group: string; code: string; message: string }) => ({ code: `${e.group}.${e.code}`, message: e.message }));

describe.each(["proto", "json"] as const)("with a session in %s", (encoding) => {
  let client: Client<Types>;
  beforeAll(() => {
    client = createClient<Types>(g.url, { encoding });
  });
  afterAll(() => client.dispose());

  describe("state", () => {
    it("is made once, from the input, also one that is null or 0", async () => {
      for (const [input, seen] of [[{ n: 1 }, '{"n":1}'], [null, "null"], [0, "0"], [undefined, "undefined"]] as const) {
        const key = fresh();
        const handle = client.stateful.getOrCreate(key, { createWithInput: input as null });
        await handle.add(1);
        await handle.sleep();
        await handle.add(1);
        expect(said.get(key)?.filter((line) => line.startsWith("createState"))).toEqual([`createState ${seen}`]);
      }
    });

    it("is tracked through everything it holds, and survives a sleep; vars do not", async () => {
      const key = fresh();
      const handle = client.stateful.getOrCreate(key);
      await handle.touchAll();
      expect([await handle.count(), await handle.count()]).toEqual([2, 3]);
      await handle.sleep();
      await until(() => said.get(key)?.includes("onSleep"));
      expect(await handle.count()).toBe(2);
      expect((await handle.all()).nested).toEqual({
        list: [{ v: 2 }], map: new Map([[0, { v: 0 }], [1, { v: 2 }]]), set: new Set([5]), when: new Date(1000), bytes: new Uint8Array([0, 7]),
      });
    });

    it("refuses what cannot be stored where it is written, and stays as it was", async () => {
      expect(await client.stateful.getOrCreate(fresh()).unstorable()).toEqual([
        "NotStorableError", "state.nested.list[1].deep[0] cannot be stored or sent: it is a function", 1,
      ]);
    });

    it("keeps what a failed action has changed", async () => {
      const handle = client.stateful.getOrCreate(fresh());
      expect(await failure(handle.failing())).toEqual({ code: "user.user_error", message: "after the change" });
      expect((await handle.all()).n).toBe(50);
    });

    it("tells onStateChange once per turn, with the last value, and not of reads", async () => {
      const key = fresh();
      const handle = client.stateful.getOrCreate(key);
      await handle.addTwice();
      await handle.all();
      await handle.keep();
      expect(said.get(key)).toEqual(["createState undefined", "changed 3", "changed 13"]);
    });
  });

  describe("actions", () => {
    it("run beside each other, and start in the order in which they were called", async () => {
      const handle = client.acting.getOrCreate(fresh());
      const [a, b] = [`${encoding}a`, `${encoding}b`];
      const conn = handle.connect();
      const calls = [conn.wait(a), conn.wait(b)];
      await open(b);
      await open(a);
      expect(await Promise.all(calls)).toEqual([a, b]);
      expect(await handle.order()).toEqual([`${a} begins`, `${b} begins`, `${b} ends`, `${a} ends`]);
    });

    it("may stand in groups, and have any name", async () => {
      const handle = client.acting.getOrCreate(fresh());
      expect(await handle.users.add("ann")).toBe("added ann");
      expect(await handle.action({ name: "users.list" })).toEqual([]);
      expect(await handle.send()).toBe("an action called send");
      expect(await failure(handle.action({ name: "users" }))).toMatchObject({ code: "actor.action_not_found" });
    });

    it("answer undefined, null and 0 as they are, and what the hook makes of it", async () => {
      const handle = client.acting.getOrCreate(fresh());
      expect([await handle.nothing(), await handle.nulls(), await handle.zero(), await handle.replaced()]).toEqual([undefined, null, 0, "another"]);
    });

    it("that take too long are answered so, and their signal is aborted; others go on", async () => {
      const key = fresh();
      const handle = client.acting.getOrCreate(key);
      const hanging = [failure(handle.hang()), failure(handle.aborted())];
      expect(await handle.zero()).toBe(0);
      expect(await Promise.all(hanging)).toMatchObject([{ code: "action.timed_out" }, { code: "action.timed_out" }]);
      await until(() => said.get(key)?.includes("aborted"));
    });

    it("that the caller gives up see it", async () => {
      const key = fresh();
      const abort = new AbortController();
      const call = failure(client.acting.getOrCreate(key).action({ name: "aborted", signal: abort.signal }));
      await client.acting.getOrCreate(key).zero();
      abort.abort();
      expect(await call).toMatchObject({ code: "action.canceled" });
      await until(() => said.get(key)?.includes("aborted"));
    });

    it("whose result is too large, or cannot be sent, fail alone", async () => {
      const conn = client.acting.getOrCreate(fresh()).connect();
      const calls = [failure(conn.large()), failure(conn.unsendable()), conn.zero()];
      expect(await Promise.all(calls)).toMatchObject([{ code: "action.result_too_large" }, { code: "internal.error" }, 0]);
    });

    it("tell nothing of what they throw but user errors", async () => {
      const handle = client.acting.getOrCreate(fresh());
      for (const call of [handle.throws(), handle.throwsText()]) expect(await failure(call)).toMatchObject({ code: "internal.error" });
    });

    it("have the connection on which they were called, if it was one", async () => {
      const handle = client.acting.getOrCreate(fresh());
      expect(await handle.conn()).toBe(undefined);
      const conn = handle.connect();
      const id = await conn.conn();
      expect([typeof id, await conn.conn()]).toEqual(["string", id]);
    });
  });

  describe("life", () => {
    it("sleeps when nothing is to do, runs its hooks, and wakes by the next call", async () => {
      const key = fresh();
      const handle = client.living.getOrCreate(key);
      expect(await handle.starts()).toEqual([1, 0]);
      await until(() => said.get(key)?.includes("onSleep"));
      expect(await handle.starts()).toEqual([2, 100]);
      expect(said.get(key)?.slice(0, 4)).toEqual(["onCreate", "onWake", "onSleep", "onWake"]);
    });

    /** An actor of the type that began its rest later sleeps: time enough for any before it. */
    const anotherSleeps = async () => {
      const key = fresh();
      await client.living.getOrCreate(key).starts();
      await until(() => said.get(key)?.includes("onSleep"));
    };

    it("is kept awake by keepAwake; waitUntil is waited for by a stop", async () => {
      const key = fresh();
      const [hold, task] = [`${key}hold`, `${key}task`];
      const handle = client.living.getOrCreate(key);
      await handle.hold(hold);
      await anotherSleeps();
      expect(said.get(key)).not.toContain("onSleep");
      await handle.task(task);
      await open(hold);
      await anotherSleeps();
      expect(said.get(key)).not.toContain("onSleep");
      await open(task);
      await until(() => said.get(key)?.includes("onSleep"));
      expect(await handle.starts()).toEqual([2, 101]);
    });

    it("runs run beside the calls until it stops; what that changes is kept", async () => {
      const key = fresh();
      const handle = client.living.getOrCreate([key, "running"]);
      await handle.starts();
      await handle.sleep(); // the actor's own wish, which run does not hold up [SLEEP-1]
      await until(() => said.get(key)?.includes("onSleep"));
      expect(said.get(key)).toEqual(["onCreate", "onWake", "run", "run ends", "onSleep"]);
      expect(await handle.starts()).toEqual([2, expect.anything()]);
      await handle.destroy();
      await until(() => said.get(key)?.includes("onDestroy"));
      expect(said.get(key)?.slice(5)).toEqual(["onWake", "run", "run ends", "onDestroy"]);
    });

    it("saves what is changed outside of turns", async () => {
      const key = fresh();
      const handle = client.living.getOrCreate(key);
      await handle.background();
      await until(() => said.get(key)?.includes("background"));
      await until(() => said.get(key)?.includes("onSleep"));
      expect(await handle.starts()).toEqual([2, 107]);
    });

    it("takes calls that come while it goes to sleep in its next life", async () => {
      const handle = client.living.getOrCreate(fresh());
      await handle.starts();
      const calls = Array.from({ length: 20 }, (_, i) => (i === 5 ? handle.sleep().then(() => [0, 0]) : handle.starts()));
      expect((await Promise.all(calls)).length).toBe(20);
    });
  });
});
