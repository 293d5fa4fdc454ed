import { actor, event } from "stagedoor";
import { destroy, find, follow, gate, log, memory, noConnection, options, planned, sleep, write } from "./kit.ts";
import type { Hosted, Plan } from "./kit.ts";

type Name = "tick" | "tock" | "data"; // the suite gives other names, too: they are errors of the SDK's

export const events: Hosted = actor({
  state: { n: 0 },
  events: { tick: event<unknown>(), tock: event<unknown>(), data: event<[unknown, unknown?]>() },
  options,
  actions: {
    broadcast: (c, name: Name, value: unknown) => c.broadcast(name, value),
    burst: (c, name: "data", count: number, size: number) => {
      for (let i = 0; i < count; i++) c.broadcast(name, i, new Uint8Array(size));
      return count;
    },
    send: (c, id: string, name: Name, value: unknown) => {
      find(c, id)?.send(name, value);
      return find(c, id) !== undefined;
    },
    reply: (c, name: Name, value: unknown) => {
      if (c.conn === undefined) throw noConnection();
      c.conn.send(name, value);
    },
    emitThenFail: (c, name: Name, value: unknown, code: string) => {
      c.broadcast(name, value);
      throw planned(code);
    },
    emitThenWait: async (c, name: Name, value: unknown, id: string) => {
      c.broadcast(name, value);
      await gate(c, id);
    },
    count: (c) => {
      const n = ++c.state.n;
      c.broadcast("tick", n);
      c.broadcast("tock", n);
      return n;
    },
  },
});

/** What a client opens a connection with. */
interface Params {
  readonly v?: unknown;
  readonly before?: Plan;
  readonly state?: Plan;
  readonly connect?: Plan;
  readonly disconnect?: Plan;
}

export const conn: Hosted = actor({
  state: { seq: 0 },
  createVars: () => ({ calls: 0 }),
  createConnState: async (c, params: Params | undefined) => {
    await write(c.kv, c.state, "state");
    await follow(params?.state, "createConnState", c);
    const v: unknown = params?.v ?? null;
    return { v };
  },
  onBeforeConnect: async (c, params: Params | undefined) => {
    await write(c.kv, c.state, "before");
    await follow(params?.before, "onBeforeConnect", c);
  },
  onConnect: async (c, conn) => {
    await write(c.kv, c.state, `connect ${conn.id}`);
    await follow(conn.params?.connect, "onConnect", c, conn);
  },
  onDisconnect: async (c, conn) => {
    await write(c.kv, c.state, `disconnect ${conn.id}`);
    await follow(conn.params?.disconnect, "onDisconnect", c);
  },
  options,
  actions: {
    conns: (c) => [...c.conns.values()].map(({ id, state }) => ({ id, v: state.v })),
    whoami: (c) => c.conn?.id ?? null,
    state: (c) => {
      if (c.conn === undefined) throw noConnection();
      return c.conn.state.v;
    },
    setState: (c, v: unknown) => {
      if (c.conn === undefined) throw noConnection();
      c.conn.state.v = v;
    },
    kick: async (c, id: string, reason: string) => {
      const conn = find(c, id);
      await conn?.disconnect(reason);
      return conn !== undefined;
    },
    send: (c, id: string, name: string, value: unknown) => {
      find(c, id)?.send(name, value);
      return find(c, id) !== undefined;
    },
    broadcast: (c, name: string, value: unknown) => c.broadcast(name, value),
    log,
    wait: (c, id: string) => gate(c, id),
    memory,
    sleep,
    destroy,
  },
});
