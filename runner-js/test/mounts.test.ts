import { actor, setup, toNextHandler } from "stagedoor";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { startGateway } from "../../clients/js/test/gateway.ts";
import type { Gateway } from "../../clients/js/test/gateway.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.stop());

/** A route of Next.js as it is loaded: `increment` adds so much. */
function load(type: string, amount: number) {
  const counter = actor({ state: { count: 0 }, actions: { increment: (c) => (c.state.count += amount) } });
  const registry = setup({ use: { [type]: counter }, endpoint: gateway.url, handleSignals: false, logLevel: "silent" });
  onTestFinished(() => registry.shutdown());
  const route = toNextHandler(registry);
  const ask = (path: string, init?: RequestInit) => Promise.resolve(route[init ? "POST" : "GET"](new Request(`http://app.example/api/rivet${path}`, init)));
  const increment = async (): Promise<number> => {
    const answer = await ask(`/v1/actors/${type}:a/actions/increment`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
    return ((await answer.json()) as { output: number }).output;
  };
  return { increment, healthy: async () => (await ask("/health")).status === 200 };
}

function next(environment: string): void {
  vi.stubEnv("NODE_ENV", environment);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
}

test("under next dev, changed code takes over the actors of the code before", async () => {
  next("development");
  const [first, other] = [load("changed", 1), load("unrelated", 1)];
  expect([await first.increment(), await other.increment()]).toEqual([1, 1]);
  const second = load("changed", 10);
  expect(await first.increment()).toBe(2); // nobody has asked for the new code yet

  let count = 2;
  await vi.waitUntil(
    async () => {
      const added = (await second.increment()) - count;
      expect([1, 10]).toContain(added);
      count += added;
      return added === 10;
    },
    { timeout: 30_000 },
  );
  await vi.waitUntil(async () => !(await first.healthy()), { timeout: 30_000 });
  expect(await second.increment()).toBe(count + 10); // the late request to the old code has changed nothing
  expect(await other.increment()).toBe(2);
});

test("in production, registries do not replace each other", async () => {
  next("production");
  const [first, second] = [load("kept", 1), load("kept", 10)];
  expect(await first.increment()).toBe(1);
  expect(await second.increment()).toBe(2);
  expect([await first.healthy(), await second.healthy()]).toEqual([true, true]);
});
