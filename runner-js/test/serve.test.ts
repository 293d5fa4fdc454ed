import { createServer } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { serve as serveOnNode } from "@hono/node-server";
import { Elysia } from "elysia";
import express from "express";
import { Hono } from "hono";
import { actor, setup, toNextHandler, toNodeHandler } from "stagedoor";
import type { Registry, RegistryOptions } from "stagedoor";
import { createClient } from "stagedoor/client";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { startGateway } from "../../clients/js/test/gateway.ts";
import type { Gateway } from "../../clients/js/test/gateway.ts";
import { forward, isForwarded, maxForwardedBytes } from "../src/registry/forward.ts";
import { version } from "../src/registry/version.ts";

const counter = actor({
  state: { count: 0 },
  run: { name: "Counter", icon: "plus", run: () => {} },
  actions: { increment: (c, amount: number) => (c.state.count += amount), read: (c) => c.state.count },
});

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.stop());

const quiet = { handleSignals: false, logLevel: "silent" } as const;

/** A registry that stops with the test. */
function registryOf(options: RegistryOptions = {}) {
  const registry = setup({ use: { counter }, endpoint: gateway.url, ...quiet, ...options });
  onTestFinished(() => registry.shutdown());
  return registry;
}

interface Mounted {
  readonly port: number;
  close(): void;
}

type Fetch = (request: Request) => Response | Promise<Response>;

function onNode(fetch: Fetch): Promise<Mounted> {
  return new Promise((resolve) => {
    const server = serveOnNode({ fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => {
      resolve({ port, close: () => server.close() });
    });
  });
}

function onHttp(server: ReturnType<typeof createServer>): Promise<Mounted> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve({ port: (server.address() as AddressInfo).port, close: () => server.close() });
    });
  });
}

const mounts: Record<string, (registry: Registry) => Promise<Mounted>> = {
  "listen()": async (registry) => {
    const listening = await registry.listen({ port: 0, hostname: "127.0.0.1" });
    return { port: listening.port, close: () => void listening.close() };
  },
  "serve() on @hono/node-server": (registry) => onNode(registry.serve().fetch),
  Hono: (registry) => {
    const app = new Hono();
    app.all("/api/rivet/*", (c) => registry.handler(c.req.raw));
    return onNode(app.fetch);
  },
  Elysia: (registry) => onNode(new Elysia().all("/api/rivet/*", (c) => registry.handler(c.request)).fetch),
  "Express, use": (registry) => {
    const app = express();
    app.use("/api/rivet", toNodeHandler(registry));
    return onHttp(createServer(app));
  },
  "Express, all": (registry) => {
    const app = express();
    app.all("/api/rivet/*path", toNodeHandler(registry));
    return onHttp(createServer(app));
  },
  "node:http": (registry) => onHttp(createServer(toNodeHandler(registry))),
  "Next.js": (registry) => {
    const route = toNextHandler(registry);
    return onNode((request) => route[request.method as keyof typeof route](request));
  },
};

describe.each(Object.entries(mounts))("mounted by %s", (name, mount) => {
  test("answers metadata, runs calls of a client and calls over HTTP", async () => {
    const mounted = await mount(registryOf());
    onTestFinished(() => {
      mounted.close();
    });
    const base = `http://127.0.0.1:${mounted.port}/api/rivet`;

    const answer = await fetch(`${base}/metadata`);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      runtime: "stagedoor",
      version,
      actorNames: { counter: { metadata: { name: "Counter", icon: "plus" } } },
      clientEndpoint: gateway.url,
      clientNamespace: "default",
    });
    expect((await fetch(`${base}/health`)).status).toBe(200);

    const client = createClient<Registry<{ counter: typeof counter }>>(base);
    onTestFinished(() => client.dispose());
    const handle = client.counter.getOrCreate([name]);
    expect(await handle.increment(2)).toBe(2);
    expect(await handle.connect().increment(1)).toBe(3);

    const path = `${base}/v1/actors/counter:${encodeURIComponent(name)}`;
    const called = await fetch(`${path}/actions/increment`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ args: [4] }),
    });
    expect([called.status, await called.json()]).toEqual([200, { output: 7 }]);
    const described = await fetch(path);
    expect(await described.json()).toMatchObject({ actor: { type: "counter", key: [name] } });
  });
});

describe("the handler", () => {
  const ask = (registry: Registry, path: string, init?: RequestInit): Promise<Response> =>
    registry.handler(new Request(`http://app.example${path}`, init));

  test("knows only its own paths", async () => {
    const registry = registryOf({ basePath: "/actors/" });
    expect(await (await ask(registry, "/actors")).text()).toContain("/actors/metadata");
    expect((await ask(registry, "/actors/metadata")).status).toBe(200);
    for (const path of ["/api/rivet/metadata", "/actors/start", "/actors/v1/connect", "/actors/v1/store/backup", "/actors/v1/actors", "/actors/v1/actors/a/b", "/actorsmetadata"]) {
      const answer = await ask(registry, path);
      expect([path, answer.status, await answer.json()]).toMatchObject([path, 404, { error: { group: "request", code: "not_found" } }]);
    }
    expect((await ask(registry, "/actors/metadata", { method: "POST" })).status).toBe(405);
    const address = `${gateway.url}/v1/actors/counter:kept`;
    await fetch(address, { method: "PUT" });
    expect((await ask(registry, "/actors/v1/actors/counter:kept", { method: "DELETE" })).status).toBe(405); // also if the gateway would take it
    expect((await fetch(address)).status).toBe(200);
  });

  test("tells clients what is public, and every page may read it", async () => {
    const registry = registryOf({ token: "", namespace: "inner", publicEndpoint: "https://pub:open@gate.example" });
    const answer = await ask(registry, "/api/rivet/metadata", { headers: { origin: "https://elsewhere.example" } });
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    expect(await answer.json()).toMatchObject({ clientEndpoint: "https://gate.example", clientNamespace: "pub", clientToken: "open" });
    const preflight = await ask(registry, "/api/rivet/metadata", { method: "OPTIONS", headers: { origin: "https://elsewhere.example" } });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([204, "*"]);
  });

  test("cannot be led astray by dots and slashes", async () => {
    const registry = registryOf();
    const paths = {
      "/api/rivet/v1/actors/%2e%2e/%2e%2e/metrics": 404,
      "/api/rivet/v1/actors/../connect": 404,
      "/api/rivet/v1/actors/x/..\\..\\connect": 404,
      "/api/rivet/v1/actors/..%2F..%2Fmetrics": 400,
      "/api/rivet/v1/actors/x%2Factions%2F..%2F..%2Fconnect": 400,
      "/api/rivet/v1/actors//evil.example/": 404,
      "/api/rivet//evil.example/v1/actors/x": 404,
      "/api/rivet/@evil.example/v1/actors/x": 404,
    };
    for (const [path, status] of Object.entries(paths)) expect([path, (await ask(registry, path)).status]).toEqual([path, status]);
  });

  test("passes errors and CBOR through", async () => {
    const registry = registryOf();
    const missing = await ask(registry, "/api/rivet/v1/actors/counter:nobody?mode=get", {});
    expect([missing.status, await missing.json()]).toMatchObject([404, { error: { group: "actor", code: "not_found" } }]);
    const called = await ask(registry, "/api/rivet/v1/actors/counter:cbor/actions/increment", {
      method: "POST",
      headers: { "content-type": "application/cbor" },
      body: new Uint8Array([0xa1, 0x64, 0x61, 0x72, 0x67, 0x73, 0x81, 0x05]), // {"args": [5]}
    });
    expect(called.headers.get("content-type")).toBe("application/cbor");
    expect([...new Uint8Array(await called.arrayBuffer())]).toEqual([0xa1, 0x66, ...Buffer.from("output"), 0x05]);
  });

  test("takes a page of its own origin for one of the gateway's", async () => {
    const registry = registryOf();
    const headers = { origin: "http://app.example", "content-type": "application/json" };
    const called = await ask(registry, "/api/rivet/v1/actors/counter:own/actions/read", { method: "POST", headers, body: '{"args":[]}' });
    expect(called.status).toBe(200);
  });

  test("says 500 without reasons where nothing is configured in production", async () => {
    const { NODE_ENV } = process.env;
    process.env["NODE_ENV"] = "production";
    onTestFinished(() => {
      process.env["NODE_ENV"] = NODE_ENV;
    });
    const lines: string[] = [];
    const take = (first: string | object): void => void lines.push(typeof first === "string" ? first : "");
    const logger = { trace: take, debug: take, info: take, warn: take, error: take, fatal: take };
    const registry = setup({ use: { counter }, handleSignals: false, logger });
    const answer = await ask(registry, "/api/rivet/metadata");
    expect([answer.status, await answer.json()]).toMatchObject([500, { error: { group: "internal", message: "The runner cannot start; its log says why." } }]);
    expect(lines).toContain("the runner cannot start");
  });

  test("answers 500, too, where the environment is wrong", async () => {
    process.env["STAGEDOOR_RUNNER_VERSION"] = "v2";
    onTestFinished(() => {
      delete process.env["STAGEDOOR_RUNNER_VERSION"];
    });
    const told: unknown[] = [];
    const console = vi.spyOn(globalThis.console, "error").mockImplementation((line) => void told.push(line));
    onTestFinished(() => console.mockRestore());
    const answer = await ask(setup({ use: { counter }, endpoint: gateway.url }), "/api/rivet/metadata");
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("v2");
    expect(told).toEqual([expect.stringContaining('STAGEDOOR_RUNNER_VERSION is "v2"')]);
  });

  test("names no gateway in production without public endpoint", async () => {
    const { NODE_ENV } = process.env;
    process.env["NODE_ENV"] = "production";
    onTestFinished(() => {
      process.env["NODE_ENV"] = NODE_ENV;
    });
    const body = (await (await ask(registryOf(), "/api/rivet/metadata")).json()) as object;
    expect(Object.keys(body)).toEqual(["runtime", "version", "actorNames"]);
  });

  test("starts nothing while next build runs", async () => {
    process.env["NEXT_PHASE"] = "phase-production-build";
    onTestFinished(() => {
      delete process.env["NEXT_PHASE"];
    });
    const registry = setup({ use: { counter }, endpoint: "http://127.0.0.1:9", ...quiet });
    const answer = await toNextHandler(registry).GET(new Request("http://app.example/api/rivet/metadata"));
    expect(answer.status).toBe(503);
  });
});

test("a request that does not end holds up a shutdown no longer than drainTimeoutMs", async () => {
  const registry = registryOf({ drainTimeoutMs: 100 });
  const { port } = await registry.listen({ port: 0, hostname: "127.0.0.1" });
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.write("POST /api/rivet/v1/actors/counter:a/actions/read HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{");
  await registry.startAndWait();
  await registry.shutdown();
  await closed;
});

describe("forwarding", () => {
  /** Says what reached it, as JSON. */
  async function echo(): Promise<string> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        response.setHeader("connection", "x-one-hop");
        response.setHeader("x-one-hop", "1");
        response.setHeader("set-cookie", "a=b");
        response.setHeader("retry-after", "3");
        response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, bytes: Buffer.concat(chunks).length }));
      });
      request.on("error", () => {});
    });
    const mounted = await onHttp(server);
    onTestFinished(() => {
      mounted.close();
      server.closeAllConnections();
    });
    return `http://127.0.0.1:${mounted.port}`;
  }

  test("lets only documented paths pass", () => {
    const yes = ["/v1/actors/counter:a", "/v1/actors/counter:a%2Fb/actions/increment"];
    const no = ["/v1", "/v1/actors", "/v1/actors/", "/v1/actors/a/connect", "/v1/actors/a/actions", "/v1/actors/a/actions/b/c", "/v1/connect", "/metrics", "/healthz"];
    expect(yes.filter(isForwarded)).toEqual(yes);
    expect(no.filter(isForwarded)).toEqual([]);
  });

  test("sends on what the gateway knows, and no cookies or headers about one hop", async () => {
    const endpoint = await echo();
    const request = new Request("http://app.example/api/rivet/v1/actors/counter:a/actions/x?mode=get", {
      method: "POST",
      headers: {
        authorization: "Bearer t",
        cookie: "session=secret",
        origin: "http://other.example",
        "x-forwarded-for": "1.2.3.4",
        "stagedoor-deadline-ms": "5",
        "content-type": "application/json",
      },
      body: "{}",
    });
    const answer = await forward(request, "/v1/actors/counter:a/actions/x", endpoint);
    const got = (await answer.json()) as { url: string; bytes: number; headers: Record<string, string> };
    expect(got).toMatchObject({ method: "POST", url: "/v1/actors/counter:a/actions/x?mode=get", bytes: 2 });
    expect(got.headers).toMatchObject({ authorization: "Bearer t", origin: "http://other.example", "stagedoor-deadline-ms": "5" });
    expect(got.headers).not.toHaveProperty("cookie");
    expect(got.headers).not.toHaveProperty("x-forwarded-for");
    expect([...answer.headers.keys()].filter((name) => name !== "date")).toEqual(["retry-after"]);
  });

  test("refuses bodies that are too large, announced or not", async () => {
    const endpoint = await echo();
    const url = "http://app.example/api/rivet/v1/actors/counter:a/actions/x";
    const announced = new Request(url, { method: "POST", body: new Uint8Array(8), headers: { "content-length": String(maxForwardedBytes + 1) } });
    expect((await forward(announced, "/v1/actors/counter:a/actions/x", endpoint)).status).toBe(413);
    let left = maxForwardedBytes / 65_536 + 2;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (left-- > 0) controller.enqueue(new Uint8Array(65_536));
        else controller.close();
      },
    });
    const streamed = new Request(url, { method: "POST", body, ...({ duplex: "half" } as object) });
    const answer = await forward(streamed, "/v1/actors/counter:a/actions/x", endpoint);
    expect([answer.status, await answer.json()]).toMatchObject([413, { error: { group: "request", code: "too_large" } }]);
  });

  test("says so when the gateway is not there", async () => {
    const answer = await forward(new Request("http://app.example/"), "/v1/actors", "http://127.0.0.1:9");
    expect([answer.status, await answer.json()]).toMatchObject([503, { error: { group: "client", code: "unreachable", retryable: true } }]);
  });
});
