import { UserError } from "stagedoor";
import type { ActorOptions, Kv, Use } from "stagedoor";

/** An actor type, without what its actions are: nobody here calls them by type. */
export type Hosted = Use[string];

/** How the turns of every type run: the SDK's default, unless told otherwise. */
export const concurrency = process.env["CONFORM_CONCURRENCY"] === "serial" ? "serial" : "interleaved";

/** What every type says of itself. */
export const options: ActorOptions = { concurrency };

/** Waits until the suite opens a gate. */
export async function waitGate(id: string, signal?: AbortSignal): Promise<void> {
  const answer = await fetch(`${process.env["CONFORM_GATE_URL"] ?? ""}/${encodeURIComponent(id)}`, signal ? { signal } : {});
  if (answer.status !== 204) throw new Error(`gate ${JSON.stringify(id)}: ${answer.status}`);
}

/** Waits inside a turn, behind what it has changed so far. */
export async function gate(c: { saveState(): Promise<void> }, id: string): Promise<void> {
  await c.saveState();
  await waitGate(id);
}

/** The user error that an action or a plan is told to end with. */
export const planned = (code: string): UserError => new UserError("failed as planned", { code });

/** What an action throws that needs the caller's connection. */
export const noConnection = (): UserError => new UserError("no connection", { code: "no_connection" });

/** What a hook does besides its log entry, step by step. */
export type Plan = readonly string[];

/** What of an actor, and of a connection, a plan may use in the hook at hand. */
export interface Site {
  readonly kv: Kv;
  readonly broadcast?: (name: string, ...args: unknown[]) => void;
}

/** The connection of `onConnect`. */
export interface Visitor {
  readonly id: string;
  readonly send: (name: string, ...args: unknown[]) => void;
  disconnect(reason?: string): Promise<void>;
}

/** Does the steps of a plan in the hook of that name. */
export async function follow(plan: Plan | undefined, hook: string, c: Site, conn?: Visitor): Promise<void> {
  for (const step of plan ?? []) {
    const [name = "", ...rest] = step.split(":");
    await take(name, rest.join(":"), hook, c, conn);
  }
}

async function take(name: string, arg: string, hook: string, c: Site, conn: Visitor | undefined): Promise<unknown> {
  switch (name) {
    case "gate":
      return waitGate(arg);
    case "fail":
      throw planned(arg);
    case "throw":
      throw new Error(arg || "thrown as planned");
    case "exit":
      return process.exit(Number(arg));
    case "put":
      return c.kv.put(arg, "planned");
    case "broadcast":
      return c.broadcast?.(arg, hook);
    case "send":
      return conn?.send(arg, conn.id);
    case "kick":
      return conn?.disconnect(arg);
  }
  throw new Error(`a plan has no step ${JSON.stringify(name)}`);
}

/** Adds an entry to an actor's log; `seq` counts the entries in its state. */
export function write(kv: Kv, state: { seq: number }, entry: string): Promise<void> {
  return kv.put(`log/${String(++state.seq).padStart(4, "0")}`, entry);
}

/** The actions memory, log, sleep and destroy. */
export const memory = (c: { vars: { calls: number } }): number => ++c.vars.calls;
export const log = async (c: { kv: Kv }): Promise<string[]> => (await c.kv.list("log/")).map(([, entry]) => entry);
export const sleep = (c: { sleep(): void }): void => c.sleep();
export const destroy = (c: { destroy(): void }): void => c.destroy();

/** The connection of that id, or undefined. */
export function find<C>(c: { readonly conns: ReadonlyMap<string, C> }, id: string): C | undefined {
  return c.conns.get(id);
}
