import { actor } from "stagedoor";
import { destroy, gate, memory, options, planned, sleep, waitGate } from "./kit.ts";
import type { Hosted } from "./kit.ts";

export const counter: Hosted = actor({
  createState: (_, n: number | undefined) => ({ n: n ?? 0 }),
  createVars: () => ({ calls: 0 }),
  options,
  actions: {
    get: (c) => c.state.n,
    add: (c, d: number) => (c.state.n += d),
    set: (c, n: number) => {
      c.state.n = n;
    },
    addThenFail: (c, d: number, code: string) => {
      c.state.n += d;
      throw planned(code);
    },
    addThenThrow: (c, d: number) => {
      c.state.n += d;
      throw new Error("thrown as planned");
    },
    /** Loses updates where turns of one actor overlap. */
    addSlow: async (c, d: number, id: string) => {
      const { n } = c.state;
      await gate(c, id);
      return (c.state.n = n + d);
    },
    addThenWait: async (c, d: number, id: string) => {
      const n = (c.state.n += d);
      await gate(c, id);
      return n;
    },
    addSaveAdd: async (c, d: number) => {
      c.state.n += d;
      await c.saveState({ immediate: true });
      return (c.state.n += d);
    },
    memory,
    sleep,
    destroy,
  },
});

export const sleeper: Hosted = actor({
  state: { n: 0 },
  options: { ...options, sleepTimeout: 300 },
  actions: {
    touch: (c) => ++c.state.n,
    keepAwake: (c, id: string) => {
      c.keepAwake(waitGate(id)).catch(() => undefined);
    },
    waitUntil: (c, id: string, key: string) => c.waitUntil(waitGate(id).then(() => c.kv.put(key, "done"))),
  },
});
