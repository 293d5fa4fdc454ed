// What user code may do that must cost no more than its own turn or actor, and never the process.
import { encode } from "@stagedoor/client/values";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { actor } from "../src/actor/actor.ts";
import { ActorError, UserError } from "../src/error.ts";
import { encodeFrame } from "../src/wire/encode.ts";
import { Writer } from "../src/wire/writer.ts";
import { begin, Stage, tick } from "./host-world.ts";

const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
let others: NodeJS.UnhandledRejectionListener[] = [];

beforeEach(() => {
  others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", note);
  unhandled.length = 0;
});
afterEach(async () => {
  await tick();
  process.off("unhandledRejection", note);
  for (const other of others) process.on("unhandledRejection", other);
  expect(unhandled, "rejections that nobody handles, which end the process").toEqual([]);
});

describe("what user code throws", () => {
  const odd: Record<string, () => unknown> = {
    nothing: () => undefined,
    "an object without prototype": () => Object.create(null) as unknown,
    "what cannot become text": () => ({
      toString() {
        throw new Error("no text");
      },
    }),
    "an error whose message is none": () => Object.assign(new Error("x"), { message: { no: "text" } }),
    "an error whose message throws": () =>
      Object.defineProperty(new Error("x"), "message", {
        get() {
          throw new Error("no message");
        },
      }),
    "a Proxy that refuses to be looked at": () =>
      new Proxy(
        {},
        {
          getPrototypeOf() {
            throw new Error("do not look");
          },
          get() {
            throw new Error("do not look");
          },
        },
      ),
    "a UserError with another code than it was made with": () => Object.assign(new UserError("x"), { code: 5, message: undefined }),
    "an ActorError that waits for ever": () => new ActorError({ group: "user", code: "later", message: "later", retryAfterMs: Infinity }),
    "an ActorError with numbers that are none": () => new ActorError({ group: "user", code: "later", message: "later", retryAfterMs: -5.5 }),
    "an ActorError whose code is no name": () => new ActorError({ group: "user", code: 7 as unknown as string, message: "x" }),
  };
  const def = actor({
    state: { n: 0 },
    actions: {
      now: (_c, what: string) => {
        throw odd[what]?.();
      },
      later: async (_c, what: string) => {
        await Promise.resolve();
        throw odd[what]?.();
      },
      get: (c) => c.state.n,
    },
    onConnect: (_c, conn) => {
      throw odd[conn.params as string]?.();
    },
  });

  for (const development of [false, true]) {
    it.each(Object.keys(odd))(`fails its turn alone: %s (development: ${development})`, async (what) => {
      const stage = await begin(def, { development });
      const ids = [stage.call("now", [what]), stage.call("later", [what]), stage.open(1, what)];
      await tick();
      for (const id of ids) expect(stage.result(id)?.error).toBeDefined();
      for (const m of stage.port.sent) {
        if (m.kind !== "callResult" || m.error === undefined) continue;
        const { error } = m;
        expect([typeof error.group, typeof error.code, typeof error.message]).toEqual(["string", "string", "string"]);
        expect(error.message.length).toBeLessThan(4096);
        expect(Number.isInteger(error.retryAfterMs) && error.retryAfterMs >= 0 && error.retryAfterMs < 2 ** 32).toBe(true);
        encodeFrame(new Writer(), m);
      }
      expect(stage.result(stage.call("get"))).toEqual({ output: 0 });
    });
  }
});

const gates = new Map<string, () => void>();
const gate = (name: string) => new Promise<void>((resolve) => gates.set(name, resolve));

describe("what nobody waits for", () => {
  const def = actor({
    state: { n: 0 },
    actions: {
      save: (c) => {
        c.state.n++;
        void c.saveState();
        void c.saveState({ immediate: true });
      },
      after: async (c) => {
        await gate("after");
        c.state.n++;
        void c.saveState();
        void c.saveState({ immediate: true });
        void c.kv.put("k", "v");
        void c.kv.get("k");
        c.waitUntil(c.kv.delete("k"));
      },
      read: (c) => void c.kv.get("k"),
    },
  });

  it("a save that is refused, or whose actor is dropped, does not end the process", async () => {
    for (const end of ["ack", "drop", "fence"]) {
      const stage = await begin(def);
      stage.acknowledge = false;
      stage.call("save");
      await tick();
      if (end === "ack") stage.ack({ group: "actor", code: "fenced", message: "", retryable: false, ran: "", retryAfterMs: 0 });
      else if (end === "drop") stage.seat.drop();
      else stage.stop("fenced");
      await tick();
    }
  });

  it("code that goes on behind the end of its actor does not end the process", async () => {
    const stage = await begin(def);
    stage.call("after");
    stage.call("read");
    stage.stop("fenced");
    const { length } = stage.port.sent;
    gates.get("after")?.();
    await tick();
    expect(stage.port.sent.length).toBe(length);
  });
});

describe("what is not what its type says", () => {
  const unfit: unknown = Object.create(null);
  const thenable = { then: (done: (v: unknown) => void) => (done(1), done(2)) };
  const def = actor({
    state: { n: 0 },
    connState: { seen: 0 },
    options: { sleepTimeout: 1 },
    onStateChange: (async (c: { state: { n: number } }) => {
      await Promise.resolve();
      throw new Error(`late ${c.state.n}`);
    }) as unknown as () => void,
    actions: {
      add: (c) => ++c.state.n,
      hold: (c, what: string) => {
        const odd = (what === "thenable" ? thenable : undefined) as unknown as Promise<void>;
        c.waitUntil(odd);
        void c.keepAwake(odd);
      },
      kick: (c, odd: boolean) => {
        for (const conn of c.conns.values()) void conn.disconnect((odd ? new Error("out") : unfit) as string);
      },
    },
  });

  it("a promise of onStateChange is not waited for, and its failure is logged", async () => {
    const stage = await begin(def);
    const id = stage.call("add");
    await tick();
    expect(stage.result(id)).toEqual({ output: 1 });
    expect(stage.log.lines.filter(({ message }) => message === "onStateChange failed").length).toBe(1);
  });

  it("what keepAwake and waitUntil are given holds the actor no longer than it lasts", async () => {
    const stage = await begin(def);
    stage.call("hold", ["thenable"]);
    stage.call("hold", ["nothing"]);
    await tick();
    stage.stop("sleep");
    await tick();
    expect(stage.news().at(-1)).toBe("stopped slept");
  });

  it("a reason that is no text disconnects, or fails before anything is done", async () => {
    const stage = await begin(def);
    stage.open(1);
    await tick();
    stage.news();
    expect(stage.result(stage.call("kick", [false]))).toMatchObject({ error: "internal.error" });
    stage.call("kick", [true]);
    await tick();
    expect(stage.news().filter((line) => line.startsWith("close"))).toEqual(["close 1 connection.disconnected Error: out"]);
  });
});

it("a logger that throws costs its lines only", async () => {
  const fails = () => {
    throw new Error("the disk is full");
  };
  const log = { trace: fails, debug: fails, info: fails, warn: fails, error: fails, fatal: fails };
  const def = actor({
    state: { n: 0 },
    onBeforeConnect: () => {
      throw new Error("x");
    },
    onSleep: () => {
      throw new Error("x");
    },
    run: () => {
      throw new Error("x");
    },
    actions: {
      fails: (c) => {
        c.waitUntil(Promise.reject(new Error("x")));
        throw new Error("x");
      },
    },
  });
  const stage = new Stage(def, {}, { log }).start();
  await tick();
  const ids = [stage.call("fails"), stage.open(1)];
  await tick();
  expect(ids.map((id) => stage.result(id)?.error)).toEqual(["internal.error", "internal.error"]);
  stage.stop("sleep");
  await tick();
  expect(stage.news().at(-1)).toBe("stopped slept");
});

it("state that was made unfit behind its back costs its actor alone, whatever its getters throw", async () => {
  const def = actor({
    state: { part: undefined as object | undefined },
    actions: {
      spoil: (c) => {
        let broken = false;
        c.state.part = {
          get x() {
            if (broken) throw Object.create(null) as Error;
            return 1;
          },
        };
        broken = true;
      },
    },
  });
  const stage = await begin(def);
  const id = stage.call("spoil");
  await tick();
  expect(stage.result(id)).toMatchObject({ error: "state.invalid" });
  expect(stage.news().at(-1)).toBe("stopped crashed state.invalid");
});

it("a connection state that was made unfit behind its back does not break the adoption", async () => {
  const def = actor({
    connState: { list: [] as unknown[] },
    actions: {
      spoil: (c) => {
        const list: unknown[] = [];
        if (c.conn) c.conn.state.list = list;
        c.waitUntil(gate("spoiled").then(() => void list.push(() => 0)));
      },
      get: () => "here",
    },
  });
  const stage = await begin(def);
  stage.open(1);
  await tick();
  stage.call("spoil", [], { connection: 1 });
  await tick();
  gates.get("spoiled")?.();
  await tick();
  stage.lose();
  stage.adopt({ version: 1, restoredConnections: 1 });
  stage.open(11, undefined, { restored: true, connectionId: "c1", state: encode({ list: [] }) });
  await tick();
  expect(stage.log.lines.map(({ message }) => message)).toContain("a connection's state cannot be kept");
  expect(stage.result(stage.call("get"))).toEqual({ output: "here" });
});
