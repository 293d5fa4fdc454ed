// More rows of the comparison with the reference, against a real gateway, by sessions in both forms: addresses and creation, values,
// what is not declared, connections and their hooks, destruction.
import { createClient, type Client, type ClientOptions } from "@stagedoor/client";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startGateway, type Gateway } from "../../clients/js/test/gateway.ts";
import { actor } from "../src/actor/actor.ts";
import { UserError } from "../src/error.ts";
import { createHost } from "../src/host/index.ts";
import { runLink } from "../src/link/index.ts";
import { linesOf, until } from "./e2e-world.ts";

/** What hooks have said, by the first part of the actor's key. */
const said = new Map<string, string[]>();
function say(c: { key: readonly string[] }, what: string): void {
  said.set(c.key[0] ?? "", [...(said.get(c.key[0] ?? "") ?? []), what]);
}
const starts = new Map<string, number>();

const plain = actor({
  state: { n: 0, list: [] as number[] },
  vars: { calls: 0 },
  onCreate: (c, input) => say(c, `onCreate ${JSON.stringify(input)}`),
  actions: {
    add: (c, by: number) => {
      c.state.list.push(by);
      return (c.state.n += by);
    },
    all: (c) => [c.state.n, c.state.list, ++c.vars.calls],
    who: (c) => [c.name, c.key],
    sleep: (c) => c.sleep(),
    destroy: (c) => c.destroy(),
  },
});

const other = actor({ createState: (_, input: unknown) => ({ input }), actions: { input: (c) => c.state.input, who: (c) => [c.name, c.key] } });

const values = actor({
  createState: (_, input: unknown): { value: unknown } => ({ value: input }),
  createConnState: (_, params: unknown) => ({ params }),
  onConnect: (c, conn) => conn.send("params", conn.params),
  actions: {
    put: (c, value: unknown) => {
      c.state.value = value;
      return value;
    },
    get: (c) => c.state.value,
    throws: (_, value: unknown) => {
      throw new UserError("with a value", { metadata: value });
    },
    tell: (c, ...values: unknown[]) => c.broadcast("told", ...values),
    connParams: (c) => [c.conn?.params, c.conn?.state],
    sleep: (c) => c.sleep(),
  },
});

const bare = actor({
  actions: {
    state: (c) => (c as unknown as { state: unknown }).state,
    vars: (c) => (c as unknown as { vars: unknown }).vars,
    assign: (c) => ((c as unknown as { state: unknown }).state = 1),
  },
});

const failing = actor({
  createState: (c) => {
    const n = (starts.get(c.key[0]!) ?? 0) + 1;
    starts.set(c.key[0]!, n);
    if (n === 1) throw new UserError("not yet", { code: "early" });
    return { n };
  },
  actions: { get: (c) => c.state.n },
});

const serial = actor({
  state: { order: [] as string[] },
  options: { concurrency: "serial" },
  actions: {
    step: async (c, name: string) => {
      c.state.order.push(`+${name}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
      c.state.order.push(`-${name}`);
      return [...c.state.order];
    },
  },
});

type Params = { name: string; refuse?: string } | undefined;
const hooked = actor({
  state: {},
  options: { sleepTimeout: 100 },
  onBeforeConnect: async (c, params: Params) => {
    await Promise.resolve();
    say(c, `onBeforeConnect ${params?.name} of ${c.conns.size}`);
    if (params?.refuse === "onBeforeConnect") throw new UserError("stop", { code: "before" });
  },
  createConnState: async (c, params: Params) => {
    await Promise.resolve();
    say(c, `createConnState ${params?.name} of ${c.conns.size} ${c.request.url}`);
    if (params?.refuse === "createConnState") throw new Error("a secret");
    return { seen: 0 };
  },
  onConnect: async (c, conn) => {
    await Promise.resolve();
    say(c, `onConnect ${conn.params?.name} of ${c.conns.size}`);
    if (conn.params?.refuse === "onConnect") throw new UserError("stop", { code: "late" });
  },
  onDisconnect: (c, conn) => say(c, `onDisconnect ${conn.params?.name} of ${c.conns.size}`),
  onWake: (c) => {
    c.abortSignal.addEventListener("abort", () => say(c, "abort"));
  },
  onSleep: (c) => say(c, "onSleep"),
  onDestroy: (c) => say(c, "onDestroy"),
  actions: {
    ids: (c) => [c.conn?.id, [...c.conns.keys()]],
    close: async (c) => {
      for (const conn of c.conns.values()) await conn.disconnect("enough");
    },
    tell: (c) => {
      c.broadcast("named", "all");
      for (const conn of c.conns.values()) conn.send("other", "one");
    },
    destroy: (c) => c.destroy(),
  },
});

const awake = actor({ state: {}, options: { sleepTimeout: 50, noSleep: true }, onSleep: (c) => say(c, "onSleep"), actions: { touch: () => undefined } });

const masked = actor({
  actions: {
    throws: () => {
      throw new TypeError("internal text");
    },
    user: () => {
      throw new UserError("for everybody", { metadata: { a: 1 } });
    },
  },
});

const types = { plain, other, values, bare, failing, serial, hooked, awake, masked };
type Types = { config: { use: typeof types } };

/** Hosts the types behind a gateway. */
async function host(g: Gateway): Promise<() => Promise<void>> {
  const log = linesOf();
  const stopping = new AbortController();
  let ended!: Promise<void>;
  await new Promise<void>((onReady) => {
    ended = runLink({ endpoint: g.url, host: createHost(types, { log }), log, signal: stopping.signal, drainTimeoutMs: 5000, onReady });
  });
  return () => {
    stopping.abort();
    return ended;
  };
}

let g: Gateway;
let stop: () => Promise<void>;
beforeAll(async () => {
  g = await startGateway();
  stop = await host(g);
});
afterAll(async () => {
  await stop();
  await g.kill();
});

let last = 0;
const fresh = () => `r${++last}`;
const failure = (promise: Promise<unknown>) => promise.then(() => "none", (e: unknown) => e);

/** Everything that a value can be. */
const kinds: Record<string, unknown> = {
  undefined,
  null: null,
  false: false,
  "negative zero": -0,
  NaN: Number.NaN,
  infinities: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  numbers: [0, 1, -1, 0.1, 5e-324, 1.7976931348623157e308, 2 ** 53, -(2 ** 53), 1e21],
  bigints: [0n, -1n, 2n ** 53n, -(2n ** 63n), 2n ** 64n, -(10n ** 40n)],
  dates: [new Date(0), new Date(1_700_000_000_123), new Date(-1)],
  "a map of texts": new Map([["a", 1], ["", 2]]),
  "an empty map": new Map(),
  "a map of anything": new Map<unknown, unknown>([[1, "one"], [null, new Map([["deep", new Set([1])]])], ["x", undefined]]),
  sets: [new Set(), new Set([1, "a", null, -0])],
  bytes: new Uint8Array([0, 127, 255]),
  unicode: ["é😀\u0000", "\ufeffbom", "ключ", "a\u2028b"],
  nested: { a: [{ b: { c: [[], {}, [undefined]] } }], gone: undefined, "": { "odd key": 1 } },
  "what looks like a tag": [["$Date", 1], ["$$", 2], { $Set: [1] }],
  "an object of __proto__": JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}'),
};

describe.each(["proto", "json"] as const)("with a session in %s", (encoding) => {
  const clients: Client<Types>[] = [];
  const make = (options: ClientOptions = {}): Client<Types> => {
    const made = createClient<Types>(g.url, { encoding, backoffMinMs: 5, backoffMaxMs: 20, ...options });
    clients.push(made);
    return made;
  };
  let client: Client<Types>;
  beforeEach(() => void (client = make()));
  afterEach(() => Promise.all(clients.splice(0).map((one) => one.dispose())));

  describe("an address", () => {
    it("has a text alone as a list of one, and nothing as the empty list", async () => {
      const key = fresh();
      await client.plain.getOrCreate(key).add(1);
      expect(await client.plain.getOrCreate([key]).add(1)).toBe(2);
      const { plain: named } = make({ namespace: `n-${key}` });
      expect(await named.getOrCreate().add(1)).toBe(1);
      expect(await named.getOrCreate([]).add(1)).toBe(2);
      expect(await named.getOrCreate([""]).add(1)).toBe(1);
      expect(await named.getOrCreate().who()).toEqual(["plain", []]);
    });

    it("is one of its type and namespace", async () => {
      const key = fresh();
      await client.plain.getOrCreate(key).add(1);
      expect(await failure(client.other.get(key).who())).toMatchObject({ group: "actor", code: "not_found" });
      expect(await failure(make({ namespace: "elsewhere" }).plain.get(key).who())).toMatchObject({ group: "actor", code: "not_found" });
    });

    it("of what is too long or too much is refused", async () => {
      const invalid = { group: "request", code: "invalid_address", ran: "no" };
      const long = "ä".repeat(65);
      const keys = [[long], Array.from({ length: 17 }, () => "a"), Array.from({ length: 9 }, () => "b".repeat(120)), ["\ud800"]];
      for (const key of keys) {
        expect(await failure(client.plain.getOrCreate(key).who())).toMatchObject(invalid);
        expect(await failure(client.plain.getOrCreate(key).connect().who())).toMatchObject(invalid);
        expect(await failure(client.plain.create(key))).toMatchObject(invalid);
      }
      for (const type of ["x".repeat(65), "a b", "..", ""]) {
        expect(await failure(client.get(type as "plain", "a").who())).toMatchObject(invalid);
      }
      const longest = ["ä".repeat(64), ...Array.from({ length: 6 }, () => "c".repeat(128)), ""];
      expect(await client.plain.getOrCreate(longest).who()).toEqual(["plain", longest]);
    });

    it("by id is that actor for ever, and no other after its end", async () => {
      const key = fresh();
      const handle = await client.plain.create(key, { input: 0 });
      expect(said.get(key)).toEqual(["onCreate 0"]);
      const id = await handle.resolve();
      expect(await client.plain.getForId(id).add(5)).toBe(5);
      await handle.destroy();
      const gone = { group: "actor", code: "not_found", ran: "no" };
      await until(async () => (await failure(client.plain.get(key).who()) as { code?: string }).code === "not_found");
      expect(await failure(handle.who())).toMatchObject(gone);
      expect(await failure(handle.resolve())).toMatchObject(gone);
      expect(await failure(client.plain.getForId("local-00000000000000000000000000").who())).toMatchObject(gone);
      const again = await client.plain.create(key);
      expect(await again.all()).toEqual([0, [], 1]);
      expect(await again.resolve()).not.toBe(id);
      expect(await failure(handle.who())).toMatchObject(gone);
    });

    it("that many create at once is one actor, created once", async () => {
      const key = fresh();
      const handles = [make(), make(), make()].map((one) => one.plain.getOrCreate(key, { createWithInput: "x" }));
      const results = await Promise.all(handles.flatMap((handle) => [handle.add(1), handle.connect().add(1), handle.resolve()]));
      expect(new Set(results.filter((one) => typeof one === "string")).size).toBe(1);
      expect(results.filter((one) => typeof one === "number").sort()).toEqual([1, 2, 3, 4, 5, 6]);
      expect(said.get(key)).toEqual(['onCreate "x"']);
      expect(await failure(client.plain.create(key))).toMatchObject({ group: "actor", code: "duplicate_key", metadata: { id: await handles[0]!.resolve() } });
    });
  });

  describe("input and params", () => {
    it("over their limits are refused, and cost only themselves", async () => {
      const tooLarge = { group: "request", code: "too_large", ran: "no" };
      const much = "x".repeat(1 << 20);
      expect(await failure(client.other.getOrCreate(fresh(), { createWithInput: much }).who())).toMatchObject(tooLarge);
      expect(await failure(client.other.create(fresh(), { input: much }))).toMatchObject({ group: "request", code: "too_large" });
      expect(await failure(client.values.getOrCreate(fresh()).connect("x".repeat(65_536)).get())).toMatchObject(tooLarge);
      const most = "y".repeat((1 << 20) - 5);
      expect(await client.other.getOrCreate(fresh(), { createWithInput: most }).input()).toBe(most);
    });
  });

  describe("values", () => {
    it.each(Object.entries(kinds))("%s is the same everywhere", async (_, value) => {
      const key = fresh();
      const handle = client.values.getOrCreate(key, { createWithInput: value, params: value });
      expect(await handle.get()).toStrictEqual(value); // the input
      expect(await handle.put(value)).toStrictEqual(value); // through the state and its tracking
      const conn = handle.connect();
      const heard: unknown[][] = [];
      conn.on("params", (...args) => heard.push(args));
      conn.on("told", (...args) => heard.push(args));
      expect(await conn.connParams()).toStrictEqual([value, { params: value }]);
      await conn.tell(value, value);
      expect(heard).toStrictEqual([[value], [value, value]]);
      expect(await failure(conn.throws(value))).toMatchObject({ group: "user", code: "user_error" });
      expect(((await failure(conn.throws(value))) as { metadata: unknown }).metadata).toStrictEqual(value);
      await handle.sleep();
      expect(await conn.get()).toStrictEqual(value); // of the store
      expect(await conn.connParams()).toStrictEqual([value, { params: value }]);
    });

    it("of a mebibyte pass both ways, and through the store", async () => {
      const handle = client.values.getOrCreate(fresh());
      const text = "aé😀z".repeat((1 << 17) - 1); // 8 bytes each; the head of the text and of the arguments are the rest of 1 MiB
      expect(await handle.put(text)).toBe(text);
      await handle.sleep();
      expect(await handle.get()).toBe(text);
      const bytes = new Uint8Array((1 << 20) - 8).map((_, i) => i * 31);
      expect(Buffer.compare((await handle.put(bytes)) as Uint8Array, bytes)).toBe(0);
    });
  });

  describe("state and vars", () => {
    it("that are constants are each actor's own; vars begin anew with each life", async () => {
      const [a, b] = [client.plain.getOrCreate(fresh()), client.plain.getOrCreate(fresh())];
      await a.add(1);
      expect(await a.all()).toEqual([1, [1], 1]);
      expect(await a.all()).toEqual([1, [1], 2]);
      expect(await b.all()).toEqual([0, [], 1]);
      await a.sleep();
      expect(await a.all()).toEqual([1, [1], 1]);
    });

    it("that are not declared are a clear error", async () => {
      const handle = client.bare.getOrCreate(fresh());
      const missing = (what: string) => ({ group: "state", code: "invalid", message: expect.stringContaining(`The actor type bare declares no ${what}`) as string });
      expect(await failure(handle.state())).toMatchObject(missing("state"));
      expect(await failure(handle.assign())).toMatchObject(missing("state"));
      expect(await failure(handle.connect().vars())).toMatchObject(missing("vars"));
    });

    it("are made again where the first start has failed", async () => {
      const handle = client.failing.getOrCreate(fresh());
      expect(await failure(handle.get())).toMatchObject({ group: "actor", code: "start_failed", ran: "no", message: expect.stringContaining("not yet") as string });
      expect(await handle.get()).toBe(2);
    });
  });

  it("actions of a serial type run one behind the other", async () => {
    const conn = client.serial.getOrCreate(fresh()).connect();
    const results = await Promise.all(["a", "b", "c"].map((name) => conn.step(name)));
    expect(results[2]).toEqual(["+a", "-a", "+b", "-b", "+c", "-c"]);
    expect(results[0]).toEqual(["+a", "-a"]);
  });

  describe("connections", () => {
    it("run their hooks in order, and are seen from onConnect on", async () => {
      const key = fresh();
      const handle = client.hooked.getOrCreate(key);
      const conn = handle.connect({ name: "ann" });
      const [id, ids] = await conn.ids();
      expect(ids).toEqual([id]);
      expect(await handle.ids()).toEqual([undefined, [id]]);
      await conn.dispose();
      await until(() => said.get(key)!.length === 4);
      expect(said.get(key)).toEqual([
        "onBeforeConnect ann of 0",
        `createConnState ann of 0 http://actor/hooked:${key}`,
        "onConnect ann of 1",
        "onDisconnect ann of 0",
      ]);
    });

    it.each([
      ["onBeforeConnect", { group: "user", code: "before", message: "stop" }],
      ["createConnState", { group: "internal", code: "error" }],
      ["onConnect", { group: "user", code: "late", message: "stop" }],
    ])("refused by %s are over with its error, never disconnected, and do not come back", async (hook, error) => {
      const key = fresh();
      const handle = client.hooked.getOrCreate(key);
      const conn = handle.connect({ name: "ann", refuse: hook });
      const opened: string[] = [];
      conn.onOpen(() => opened.push("open"));
      const closed = new Promise((resolve) => conn.onClose(resolve));
      expect(await failure(conn.ids())).toMatchObject(error);
      expect(await closed).toMatchObject(error);
      expect(conn.connStatus).toBe("idle");
      expect(await handle.ids()).toEqual([undefined, []]);
      expect(opened).toEqual([]);
      expect(said.get(key)?.filter((line) => line.startsWith("onDisconnect"))).toEqual([]);
    });

    it("closed by the actor do not come back, and say why", async () => {
      const key = fresh();
      const handle = client.hooked.getOrCreate(key);
      const conn = handle.connect({ name: "ann" });
      await conn.ids();
      const statuses: string[] = [];
      conn.onStatusChange((status) => statuses.push(status));
      const closed = new Promise((resolve) => conn.onClose(resolve));
      await handle.close();
      expect(await closed).toMatchObject({ group: "connection", code: "disconnected", message: "enough" });
      expect(await failure(conn.ids())).toMatchObject({ group: "connection", code: "disconnected", ran: "no" });
      expect(statuses).toEqual(["idle"]);
      expect(await handle.ids()).toEqual([undefined, []]);
      expect(said.get(key)?.filter((line) => line.startsWith("onBeforeConnect"))).toHaveLength(1);
    });

    it("hear broadcasts they have subscribed to, and what is sent to them alone", async () => {
      const handle = client.hooked.getOrCreate(fresh());
      const heard: unknown[] = [];
      const [ann, bob] = [handle.connect({ name: "ann" }), handle.connect({ name: "bob" })];
      ann.on("named", (who) => heard.push(["ann named", who]));
      bob.on("other", (who) => heard.push(["bob other", who]));
      await Promise.all([ann.ids(), bob.ids()]);
      await handle.tell();
      await Promise.all([ann.ids(), bob.ids()]);
      expect(heard.sort()).toEqual([["ann named", "all"], ["bob other", "one"]]);
    });

    it("do not keep an actor awake, and go on when it wakes", async () => {
      const key = fresh();
      const conn = client.hooked.getOrCreate(key).connect({ name: "ann" });
      const [id] = await conn.ids();
      await until(() => said.get(key)?.includes("onSleep"));
      expect(said.get(key)?.slice(3)).toEqual(["abort", "onSleep"]);
      expect(await conn.ids()).toEqual([id, [id]]);
      expect(said.get(key)?.filter((line) => line.startsWith("onConnect"))).toHaveLength(1);
    });

    it("are closed by the destruction of their actor, and do not create another", async () => {
      const key = fresh();
      const handle = client.hooked.getOrCreate(key);
      const conn = handle.connect({ name: "ann" });
      await conn.ids();
      const closed = new Promise((resolve) => conn.onClose(resolve));
      await handle.destroy();
      expect(await closed).toMatchObject({ group: "actor", code: "destroyed" });
      await until(() => said.get(key)?.at(-1)?.startsWith("onDisconnect"));
      expect(said.get(key)?.slice(3)).toEqual(["abort", "onDestroy", "onDisconnect ann of 0"]);
      expect(await failure(client.hooked.get(key).ids())).toMatchObject({ group: "actor", code: "not_found" });
    });
  });

  it("an actor with noSleep stays", async () => {
    const key = fresh();
    await client.awake.getOrCreate(key).touch();
    const other = fresh(); // idle later than it, and for twice its sleepTimeout
    await client.hooked.getOrCreate(other).ids();
    await until(() => said.get(other)?.includes("onSleep"));
    expect(said.get(key)).toBe(undefined);
  });
});

describe("behind a gateway that is not in development", () => {
  let production: Gateway;
  let stopThere: () => Promise<void>;
  beforeAll(async () => {
    production = await startGateway({ command: "gateway", args: ["--insecure"] });
    stopThere = await host(production);
  });
  afterAll(async () => {
    await stopThere();
    await production.kill();
  });

  it.each(["proto", "json"] as const)("only user errors keep their text, in %s", async (encoding) => {
    const client = createClient<Types>(production.url, { encoding });
    const conn = client.masked.getOrCreate("m").connect();
    for (const target of [client.masked.getOrCreate("m"), conn]) {
      const error = (await failure(target.throws())) as Error & { metadata?: unknown };
      expect(error).toMatchObject({ group: "internal", code: "error" });
      expect([error.message, error.stack, JSON.stringify(error)].join()).not.toContain("internal text");
      expect(await failure(target.user())).toMatchObject({ group: "user", code: "user_error", message: "for everybody", metadata: { a: 1 } });
    }
    const refused = client.hooked.getOrCreate("m").connect({ name: "x", refuse: "createConnState" });
    const error = (await failure(refused.ids())) as Error;
    expect(error.message).not.toContain("secret");
    await client.dispose();
  });
});
