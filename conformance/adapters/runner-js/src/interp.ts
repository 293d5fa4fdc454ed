import { actor, UserError } from "stagedoor";
import type { ActorContext } from "stagedoor";
import { find, gate, memory, options, waitGate } from "./kit.ts";
import type { Hosted } from "./kit.ts";

type Context = ActorContext<{ v: unknown }>;
type Op = [name: string, ...args: never[]];

/** What a program is made of: the arguments behind the name are the op's own. */
const ops: Readonly<Record<string, (c: Context, ...args: never[]) => unknown>> = {
  get: (c) => c.state.v,
  set: (c, v: unknown) => void (c.state.v = v),
  add: (c, d: number) => (c.state.v = (c.state.v as number) + d),
  put: (c, key: string, value: string) => c.kv.put(key, value),
  delete: (c, key: string) => c.kv.delete(key),
  deleteRange: (c, from: string, until: string) => c.kv.deleteRange(from, until),
  read: (c, key: string) => c.kv.get(key),
  list: (c, prefix: string) => c.kv.list(prefix),
  broadcast: (c, name: string, value: unknown) => c.broadcast(name, value),
  broadcastUnreliable: (c, name: string, value: unknown) => c.broadcastUnreliable(name, value),
  send: (c, id: string, name: string, value: unknown) => find(c, id)?.send(name, value),
  disconnect: (c, id: string, reason: string) => find(c, id)?.disconnect(reason),
  conns: (c) => [...c.conns.keys()],
  flush: (c) => c.saveState(),
  save: (c) => c.saveState({ immediate: true }),
  gate: (c, id: string) => gate(c, id),
  text: (_, n: number) => "x".repeat(n),
  fail: (_, code: string, message: string) => {
    throw new UserError(message, { code });
  },
  throw: (_, message: string) => {
    throw new Error(message);
  },
  sleep: (c) => c.sleep(),
  destroy: (c) => c.destroy(),
  keepAwake: (c, id: string) => void c.keepAwake(waitGate(id)).catch(() => undefined),
  spawn: (c, id: string, program: readonly Op[]) => c.waitUntil(waitGate(id).then(() => run(c, program))),
  exit: (_, status: number) => process.exit(status),
};

/** Does op after op. The results are one per op, unless one of them returns. */
async function run(c: Context, program: readonly Op[]): Promise<unknown> {
  const results: unknown[] = [];
  for (const [name, ...args] of program) {
    if (name === "return") return args[0];
    const op = ops[name];
    if (op === undefined) throw new Error(`no op ${JSON.stringify(name)}`);
    results.push((await op(c, ...args)) ?? null);
  }
  return results;
}

export const interp: Hosted = actor({
  createState: (_, input: unknown) => ({ v: input ?? null }),
  createVars: () => ({ calls: 0 }),
  options,
  actions: { run: (c, program: readonly Op[]) => run(c, program), memory },
});
