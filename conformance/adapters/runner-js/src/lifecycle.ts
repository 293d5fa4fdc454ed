import { actor } from "stagedoor";
import { destroy, follow, log, memory, options, sleep, write } from "./kit.ts";
import type { Hosted, Plan, Site } from "./kit.ts";

interface State {
  plans: Record<string, Plan>;
  seq: number;
}

/** A hook of that name: its entry, then its plan. */
const hook = (name: string) => async (c: Site & { state: State }) => {
  await write(c.kv, c.state, name);
  await follow(c.state.plans[name], name, c);
};

export const lifecycle: Hosted = actor({
  createState: async (c, input: Record<string, Plan> | undefined) => {
    const state: State = { plans: input ?? {}, seq: 0 };
    await write(c.kv, state, "createState");
    await follow(state.plans["createState"], "createState", c);
    return state;
  },
  createVars: async (c) => {
    await hook("createVars")(c);
    return { calls: 0 };
  },
  onCreate: hook("onCreate"),
  onWake: hook("onWake"),
  onSleep: hook("onSleep"),
  onDestroy: hook("onDestroy"),
  run: async (c) => {
    const plan = c.state.plans["run"] ?? [];
    if (plan.length === 0) return;
    await write(c.kv, c.state, "run");
    await follow(plan, "run", c);
    await write(c.kv, c.state, "run over");
  },
  options,
  actions: {
    log,
    plan: (c, name: string, plan: Plan) => {
      c.state.plans[name] = plan;
    },
    memory,
    sleep,
    destroy,
  },
});
