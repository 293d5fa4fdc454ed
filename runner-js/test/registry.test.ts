import { actor, setup } from "stagedoor";
import type { Registry } from "stagedoor";
import { createClient } from "stagedoor/client";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { startGateway } from "../../clients/js/test/gateway.ts";
import type { Gateway } from "../../clients/js/test/gateway.ts";
import { settledClient } from "../src/registry/settled.ts";
import { bundle, run, temporary } from "./program.ts";

const quiet = { handleSignals: false, logLevel: "silent" } as const;
const counterOf = (step: number) => actor({ state: { count: 0 }, actions: { increment: (c) => (c.state.count += step) } });

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ args: ["--runner-token", "r-secret", "--client-token", "c-secret"] });
});
afterAll(() => gateway.stop());

function clientOf<R extends Registry>() {
  const client = createClient<R>(gateway.url, { token: "c-secret" });
  onTestFinished(() => client.dispose());
  return client;
}

describe("a registry", () => {
  test("hosts its actors until it is shut down, and again", async () => {
    const registry = setup({ use: { one: counterOf(1) }, endpoint: gateway.url, token: "r-secret", ...quiet });
    const { startAndWait, shutdown } = registry; // they need no `this`
    const handle = clientOf<typeof registry>().one.getOrCreate(["a"]);
    for (const count of [1, 2]) {
      await startAndWait();
      await startAndWait(); // does nothing more
      expect(await handle.increment()).toBe(count);
      await shutdown();
      await shutdown();
    }
  });

  test("is started by any of its names", async () => {
    const hosting = () => setup({ use: { one: counterOf(1) }, endpoint: gateway.url, token: "r-secret", ...quiet });
    const first = hosting();
    await first.startAndWait(); // from now on the gateway knows the type, and calls wait for a runner
    await first.shutdown();
    for (const name of ["startRunner", "start", "startEnvoy", "serve"] as const) {
      const registry = hosting();
      registry[name]();
      expect(await clientOf<typeof registry>().one.getOrCreate([name]).increment()).toBe(1);
      await registry.shutdown();
    }
  });

  test("hands its actors over to the next version, with their state", async () => {
    const of = (runnerVersion: number, step: number) =>
      setup({ use: { versioned: counterOf(step) }, endpoint: gateway.url, token: "r-secret", runnerVersion, ...quiet });
    const [before, after] = [of(1, 1), of(2, 10)];
    onTestFinished(() => after.shutdown());
    const handle = clientOf<typeof before>().versioned.getOrCreate(["a"]);
    await before.startAndWait();
    expect(await handle.increment()).toBe(1);
    await after.startAndWait();
    await before.shutdown();
    expect(await handle.increment()).toBe(11);
  });

  test("says why the gateway will not have it", async () => {
    const registry = setup({ use: { one: counterOf(1) }, endpoint: gateway.url, token: "wrong", ...quiet });
    await expect(registry.startAndWait()).rejects.toMatchObject({ group: "auth", code: "unauthenticated" });
    const answer = await registry.handler(new Request("http://app.example/api/rivet/metadata"));
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("auth");
  });

  test("that was shut down is not started again by a request that comes late", async () => {
    const registry = setup({ use: { one: counterOf(1) }, endpoint: gateway.url, token: "r-secret", ...quiet });
    const ask = () => registry.handler(new Request("http://app.example/api/rivet/health"));
    expect((await ask()).status).toBe(200);
    await registry.shutdown();
    const late = await ask();
    expect([late.status, await late.json()]).toMatchObject([503, { error: { group: "runner", code: "draining", retryable: true } }]);
    await registry.startAndWait();
    expect((await ask()).status).toBe(200);
    await registry.shutdown();
  });

  test("may be stopped while it begins", async () => {
    const registry = setup({ use: { one: counterOf(1) }, endpoint: gateway.url, token: "r-secret", ...quiet });
    onTestFinished(() => registry.shutdown());
    await registry.startAndWait();
    const stopped = registry.shutdown();
    await stopped.then(() => registry.startAndWait());
    const again = Promise.all([registry.shutdown(), expect(registry.startAndWait()).resolves.toBeUndefined()]);
    await again;
  });

  test("may be stopped while it waits for a gateway", async () => {
    const registry = setup({ use: { one: counterOf(1) }, endpoint: "http://127.0.0.1:9", ...quiet });
    const started = registry.startAndWait();
    await registry.shutdown();
    await expect(started).rejects.toThrow("stopped before the gateway had taken it");
  });
});

describe("a program", () => {
  const program = async (code: string, env: Record<string, string> = {}) => {
    const cwd = await temporary();
    const source = `
      import { actor, setup } from "stagedoor";
      import { createClient } from "stagedoor/client";
      const one = actor({ state: { count: 0 }, actions: { increment: (c) => (c.state.count += 1) } });
      const registry = setup({ use: { one } });
      ${code}`;
    return run(await bundle(cwd, { source }), {
      cwd,
      env: { STAGEDOOR_ENDPOINT: gateway.url, STAGEDOOR_TOKEN: "r-secret", STAGEDOOR_CLIENT_TOKEN: "c-secret", STAGEDOOR_LOG_LEVEL: "fatal", ...env },
    });
  };

  test("ends with status 1 and the reason when the gateway will not have it", async () => {
    const ended = await program("registry.startRunner();", { STAGEDOOR_TOKEN: "wrong" });
    expect(await ended.exited).toBe(1);
    const said = ended.output.filter((line) => line !== "");
    expect(said).toHaveLength(1); // no stack: what is wrong is no code
    expect(said[0]).toMatch(/the runner cannot start.*auth\.unauthenticated.* does not know the runner's token; set STAGEDOOR_TOKEN, or setup\(\{ token \}\)/);
    expect(said[0]).not.toMatch(/wrong|Authorization/);
  });

  test.each([
    ["", /asks for a runner token, and none is set; set STAGEDOOR_TOKEN/],
    ["c-secret", /auth\.forbidden.* says that the token is not one for runners; set STAGEDOOR_TOKEN/],
  ])("is told what is wrong about the token %j", async (token, why) => {
    const ended = await program("registry.startRunner();", { STAGEDOOR_TOKEN: token });
    expect(await ended.exited).toBe(1);
    expect(ended.output.filter((line) => line !== "")).toStrictEqual([expect.stringMatching(why)]);
  });

  test("that failed and stayed ends with status 1 by a signal, too", async () => {
    const running = await program("registry.startRunner(); setInterval(() => {}, 1_000_000);", { STAGEDOOR_TOKEN: "wrong" });
    await running.line(/the runner cannot start/);
    running.process.kill("SIGTERM");
    expect(await running.exited).toBe(1);
  });

  test("ends with status 1 when the environment is wrong", async () => {
    const ended = await program("registry.startRunner();", { STAGEDOOR_ENDPOINT: "nowhere" });
    expect(await ended.exited).toBe(1);
    expect(ended.output.join("\n")).toContain("STAGEDOOR_ENDPOINT is not a URL");
  });

  test("whose client is used in development hosts the actors too", async () => {
    const running = await program(`
      const count = await createClient<typeof registry>().one.getOrCreate(["of-client"]).increment();
      console.log("count", count);`);
    await running.line(/^count 1$/);
    running.process.kill("SIGTERM");
    expect(await running.exited).toBe(0);
  });

  test("whose client finds no gateway says so at once", async () => {
    const running = await program(
      `
      const began = performance.now();
      const handle = createClient<typeof registry>().one.getOrCreate(["a"]);
      const failed = (error) => console.log(String(error));
      await Promise.all([handle.increment().catch(failed), handle.connect().increment().catch(failed), handle.resolve().catch(failed)]);
      process.exitCode = performance.now() - began < 15_000 ? 5 : 6; // a call that waits for a gateway waits for 30 s`,
      { STAGEDOOR_ENDPOINT: "", STAGEDOOR_LOG_LEVEL: "error", NODE_ENV: "production" },
    );
    expect(await running.line(/finds no gateway/)).toContain("no endpoint is configured: set STAGEDOOR_ENDPOINT");
    expect(await running.exited).toBe(5); // and nothing keeps it
    const told = running.output.filter((line) => line.startsWith("ActorError"));
    expect(told).toEqual(Array(3).fill("ActorError: client.unreachable: no endpoint is configured: set STAGEDOOR_ENDPOINT, or setup({ endpoint })"));
  });

  test("that imports a served registry does not listen, also in a worker", async () => {
    const { port } = new URL(gateway.url);
    const running = await program(
      `
      import { Worker, isMainThread } from "node:worker_threads";
      registry.serve();
      if (isMainThread) new Worker(new URL(import.meta.url));
      registry.startAndWait().then(() => console.log(isMainThread ? "main" : "worker"));`,
      { PORT: port }, // would fail, and be fatal
    );
    await Promise.all([running.line(/^main/), running.line(/^worker/)]);
    expect(running.output.filter((line) => line.includes("cannot listen"))).toEqual([]);
  });

  test("with signal listeners of its own ends by itself", async () => {
    const running = await program(`
      process.on("SIGTERM", () => { console.log("mine"); setTimeout(() => process.exit(7), 200); });
      registry.startAndWait().then(() => console.log("ready"));`);
    await running.line(/^ready/);
    running.process.kill("SIGTERM");
    expect(await running.exited).toBe(7);
  });
});

describe("a settled client", () => {
  const calls: string[] = [];
  const settle = vi.fn(async () => {
    await Promise.resolve();
    calls.push("settled");
  });
  const note = (name: string) => (...args: unknown[]) => {
    calls.push(`${name}(${args.join()})`);
    return Promise.resolve(name);
  };
  const conn = Object.freeze({ on: note("on"), connStatus: "connected", add: note("conn.add") });
  const handle = Object.freeze({
    add: note("add"),
    users: Object.assign(note("users"), { list: note("users.list") }),
    resolve: note("resolve"),
    connect: () => conn,
  });
  const accessor = Object.freeze({ get: () => handle, getOrCreate: () => handle, create: () => Promise.resolve(handle), getForId: () => handle });
  const base = Object.freeze({ counter: accessor, ...accessor, dispose: note("dispose") });
  type Loose = { readonly [name: string]: Loose } & ((...args: unknown[]) => Loose & Promise<unknown>);

  test("has what was changed saved before each call, and before nothing else", async () => {
    const client = settledClient(base, settle) as Loose;
    const at = client["counter"]?.["getOrCreate"]?.(["a"]) as Loose;
    expect(calls.splice(0)).toEqual([]);
    expect(await at["add"]?.(1, 2)).toBe("add");
    expect(await at["users"]?.["list"]?.()).toBe("users.list");
    expect(await at["resolve"]?.()).toBe("resolve");
    expect(await (client["get"]?.("counter", ["a"]) as Loose)["add"]?.(3)).toBe("add");
    expect(calls.splice(0)).toEqual(["settled", "add(1,2)", "settled", "users.list()", "settled", "resolve()", "settled", "add(3)"]);

    const made = (await client["counter"]?.["create"]?.(["a"])) as Loose;
    expect(await made["add"]?.(4)).toBe("add");
    expect(calls.splice(0)).toEqual(["settled", "settled", "add(4)"]);

    const attached = at["connect"]?.() as Loose;
    expect(attached["connStatus"]).toBe("connected");
    await Promise.resolve(attached["on"]?.("event"));
    expect(await attached["add"]?.(5)).toBe("conn.add");
    expect(calls.splice(0)).toEqual(["on(event)", "settled", "settled", "conn.add(5)"]);

    await client["dispose"]?.();
    expect(calls.splice(0)).toEqual([]);
    expect(at["then"]).toBeUndefined();
  });

  test("does not let a call leave whose changes were not saved", async () => {
    const client = settledClient(base, () => Promise.reject(new Error("fenced"))) as Loose;
    await expect((client["counter"]?.["get"]?.(["a"]) as Loose)["add"]?.(1)).rejects.toThrow("fenced");
    expect(calls).toEqual([]);
  });
});
