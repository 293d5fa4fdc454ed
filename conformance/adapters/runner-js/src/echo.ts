import { actor, UserError } from "stagedoor";
import { concurrency, gate, options, waitGate } from "./kit.ts";
import type { Hosted } from "./kit.ts";

const profiles = ["adopt", "connections", "core", "credit", "events", "kv", "resume"];

export const manifestOf = (types: readonly string[]): Hosted =>
  actor({
    state: {},
    options,
    actions: { get: () => ({ contract: 1, language: "js", concurrency, types, profiles }) },
  });

export const echo: Hosted = actor({
  state: {},
  options,
  actions: {
    echo: (_, value: unknown) => value,
    void: () => undefined,
    null: () => null,
    bytes: (_, n: number) => Uint8Array.from({ length: n }, (_, i) => i % 251),
    text: (_, n: number) => "x".repeat(n),
    context: (c) => ({ id: c.actorId, type: c.name, key: [...c.key], region: c.region, connection: c.conn?.id ?? null }),
    fail: (_, code: string, message: string, metadata: unknown) => {
      throw new UserError(message, { code, metadata: metadata ?? undefined });
    },
    failRetryable: (_, code: string, message: string) => {
      throw new UserError(message, { code, retryable: true });
    },
    throw: (_, message: string) => {
      throw new Error(message);
    },
    panic: (_, message: string) => {
      throw new Error(message);
    },
    wait: async (c, id: string, value: unknown) => {
      await gate(c, id);
      return value;
    },
    /** Tells which came first, the signal or the gate. */
    awaitCancel: async (c, id: string, key: string) => {
      const { abortSignal } = c;
      let came = "opened";
      try {
        await waitGate(id, abortSignal);
      } catch (error) {
        if (!abortSignal.aborted) throw error;
        came = "canceled";
      }
      await c.kv.put(key, came);
      return came;
    },
  },
});

export const crasher: Hosted = actor({
  state: {},
  options,
  actions: {
    exit: (_, status: number) => process.exit(status),
    putThenExit: (c, key: string, value: string, status: number) => {
      void c.kv.put(key, value);
      process.exit(status);
    },
    print: (_, n: number) => {
      for (const output of [process.stdout, process.stderr]) output.write(`${"#".repeat(n)}\n`);
    },
    hang: (_, ms: number) => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms); // nothing else runs meanwhile
    },
    background: (c, message: string) => c.waitUntil(Promise.reject(new Error(message))),
    ping: () => "pong",
  },
});
