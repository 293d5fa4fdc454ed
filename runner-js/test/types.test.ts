// What must not compile stands behind @ts-expect-error. reference.test.ts runs the TypeScript compiler over this file.
import { actor, event, setup } from "stagedoor";
import type { ActionContextOf, ActorConn, ActorContextOf, ActorHandle, Client, Conn, ConnOf, Registry, StateOf } from "stagedoor";
import { createClient } from "stagedoor/client";
import { describe, expectTypeOf, test } from "vitest";

interface Member {
  userId: string;
  since: number;
}

interface RoomState {
  title: string;
  users: Record<string, boolean>;
}

const events = { joined: event<{ userId: string }>(), over: event<void>(), said: event<[user: string, text: string]>(), names: event<string[]>() };

const room = actor({
  createState: async (c, input: { title: string }): Promise<RoomState> => ({ title: input.title, users: {} }),
  createVars: async (c) => ({ started: c.state.title.length }),
  createConnState: (c, params: { userId: string }): Member => ({ userId: params.userId, since: c.vars.started }),
  events,
  onWake: (c) => {
    for (const conn of c.conns.values()) expectTypeOf(conn).toEqualTypeOf<Conn<{ userId: string }, Member, typeof events>>();
  },
  onConnect: (c, conn) => {
    expectTypeOf(conn.params).toEqualTypeOf<{ userId: string }>();
    expectTypeOf(conn.state).toEqualTypeOf<Member>();
    expectTypeOf(c.request.headers).toEqualTypeOf<Headers>();
  },
  actions: {
    join: (c, name: string, at?: number) => {
      c.state.users[name] = at !== undefined;
      return Object.keys(c.state.users).length;
    },
    users: {
      list: async (c) => Object.keys(c.state.users),
      admin: { kick: (c, userId: string) => [...c.conns.values()].some((conn) => conn.state.userId === userId) },
    },
  },
});

const counter = actor({ state: { count: 0 }, actions: { increment: (c, amount: number) => (c.state.count += amount) } });
const registry = setup({ use: { room, counter } });
const makeClient = (): Client<typeof registry> => createClient<typeof registry>({ endpoint: "http://127.0.0.1:9" });

describe("definitions", () => {
  test("state, params and input are inferred", () => {
    expectTypeOf<StateOf<typeof counter>>().toEqualTypeOf<{ count: number }>();
    expectTypeOf<StateOf<typeof room>>().toEqualTypeOf<RoomState>();
    expectTypeOf<(typeof room)["~types"]["input"]>().toEqualTypeOf<{ title: string }>();
    expectTypeOf<(typeof room)["~types"]["connParams"]>().toEqualTypeOf<{ userId: string }>();
    expectTypeOf<ActionContextOf<typeof room>["vars"]>().toEqualTypeOf<{ started: number }>();
    expectTypeOf<ConnOf<typeof room>>().toEqualTypeOf<Conn<{ userId: string }, Member, typeof events>>();
    expectTypeOf<ActorContextOf<typeof counter>["state"]>().toEqualTypeOf<{ count: number }>();
    expectTypeOf(registry).toExtend<Registry>();
  });

  test("functions outside of a definition take its context", () => {
    const add = (c: ActionContextOf<typeof counter>, n: number): number => (c.state.count += n);
    actor({ state: { count: 0 }, actions: { add: (c) => add(c, 1) } });
    // @ts-expect-error another state
    actor({ state: { sum: 0 }, actions: { add: (c) => add(c, 1) } });
  });

  test("hooks before the creator of the connections' state do not spoil its type", () => {
    actor({
      state: {},
      onWake: (c) => {
        for (const conn of c.conns.values()) expectTypeOf(conn.state).toBeUnknown();
      },
      createConnState: (c, params: { userId: string }): Member => ({ userId: params.userId, since: 0 }),
      actions: { who: (c) => expectTypeOf(c.conn?.state).toEqualTypeOf<Member | undefined>() },
    });
  });

  test("of a value and its creator only one may be given", () => {
    const lazy = (make: () => unknown): void => void make;
    // @ts-expect-error both
    lazy(() => actor({ state: { n: 0 }, createState: () => ({ n: 0 }), actions: {} }));
    // @ts-expect-error both
    lazy(() => actor({ state: {}, vars: { n: 0 }, createVars: () => ({ n: 0 }), actions: {} }));
    // @ts-expect-error both
    lazy(() => actor({ state: {}, connState: { n: 0 }, createConnState: () => ({ n: 0 }), actions: {} }));
    // @ts-expect-error raw HTTP is not there yet
    lazy(() => actor({ state: {}, onRequest: () => new Response(), actions: {} }));
    // @ts-expect-error no such option
    lazy(() => actor({ state: {}, options: { actionTimeut: 1 }, actions: {} }));
    // @ts-expect-error true or false
    lazy(() => event({ unreliable: 1 }));
    // @ts-expect-error no such option
    lazy(() => event({ reliable: true }));
    // @ts-expect-error not an action
    lazy(() => actor({ state: {}, actions: { one: 1 } }));
    // @ts-expect-error not an actor
    lazy(() => setup({ use: { one: 1 } }));
    // @ts-expect-error no such option
    lazy(() => setup({ use: { counter }, endpont: "http://127.0.0.1" }));
  });

  test("what is not declared cannot be used", () => {
    actor({
      actions: {
        // @ts-expect-error no state
        a: (c) => c.state.count,
        // @ts-expect-error no vars
        b: (c) => c.vars.count,
        // @ts-expect-error no schedule yet
        d: (c) => c.schedule,
      },
    });
  });

  test("declared events have their payloads", () => {
    actor({
      state: {},
      events: { count: event<number>(), over: event<void>(), said: event<[user: string, text: string]>(), names: event<string[]>(), at: event<[x: number, y: number]>({ unreliable: true }) },
      actions: {
        go: (c) => {
          c.broadcast("count", 1);
          c.broadcast("over");
          c.broadcast("said", "ann", "hello");
          c.broadcast("names", ["ann"]);
          // @ts-expect-error a number it is
          c.broadcast("count", "1");
          // @ts-expect-error a payload is missing
          c.broadcast("count");
          // @ts-expect-error no payload
          c.broadcast("over", 1);
          // @ts-expect-error no such event
          c.broadcast("coutn", 1);
          c.broadcastUnreliable("said", "ann", "hello");
          // @ts-expect-error a number it is
          c.broadcastUnreliable("count", "1");
          // @ts-expect-error no such event
          c.broadcastUnreliable("coutn", 1);
          c.broadcast("at", 1, 2);
          c.broadcastUnreliable("at", 1, 2);
          // @ts-expect-error no option trails
          c.broadcast("at", 1, 2, { unreliable: true });
          for (const conn of c.conns.values()) {
            conn.send("said", "ann", "hello");
            // @ts-expect-error two arguments
            conn.send("said", "ann");
            conn.sendUnreliable("said", "ann", "hello");
            // @ts-expect-error two arguments
            conn.sendUnreliable("said", "ann");
          }
        },
      },
    });
    actor({ state: {}, actions: { go: (c) => c.broadcast("anything", 1, "two") } });
    actor({ state: {}, actions: { go: (c) => c.broadcastUnreliable("anything", 1, "two") } });
  });
});

describe("clients", () => {
  test("actions have their arguments and results", () => {
    const run = async (): Promise<void> => {
      const handle = makeClient().room.getOrCreate(["a"], { createWithInput: { title: "t" }, params: { userId: "u" } });
      expectTypeOf(handle).toEqualTypeOf<ActorHandle<typeof room>>();
      expectTypeOf(await handle.join("ann", 1)).toEqualTypeOf<number>();
      expectTypeOf(await handle.users.list()).toEqualTypeOf<string[]>();
      expectTypeOf(await handle.users.admin.kick("ann")).toEqualTypeOf<boolean>();
      // @ts-expect-error no such action
      await handle.jion("ann");
      // @ts-expect-error a text it is
      await handle.join(1);
      // @ts-expect-error an argument is missing
      await handle.join();
      // @ts-expect-error one too many
      await handle.users.list(1);
      // @ts-expect-error no such actor type
      makeClient().rom.getOrCreate(["a"]);
      // @ts-expect-error another input
      makeClient().room.getOrCreate(["a"], { createWithInput: { titel: "t" } });
      // @ts-expect-error other params
      makeClient().room.getOrCreate(["a"], { params: { user: "u" } });
    };
    expectTypeOf(run).toBeFunction();
  });

  test("events have their payloads", () => {
    const run = (): void => {
      const conn = makeClient().room.get("a").connect();
      expectTypeOf(conn).toEqualTypeOf<ActorConn<typeof room>>();
      conn.on("joined", (who) => expectTypeOf(who).toEqualTypeOf<{ userId: string }>());
      conn.on("said", (user, text) => expectTypeOf([user, text]).toEqualTypeOf<string[]>());
      conn.once("over", () => {});
      conn.on("names", (names) => expectTypeOf(names).toEqualTypeOf<string[]>());
      // @ts-expect-error another payload
      conn.on("joined", (who: number) => who);
      // @ts-expect-error no such event
      conn.on("jioned", () => {});
      makeClient().counter.get("a").connect().on("anything", (n: number) => n);
    };
    expectTypeOf(run).toBeFunction();
  });
});
