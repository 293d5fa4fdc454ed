import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { EndpointSource, connectUrl, parseEndpoint } from "../src/endpoint.ts";
import { ActorError, createClient } from "../src/index.ts";
import type { Examples } from "./actors.ts";
import { bin, startGateway } from "./gateway.ts";
import type { Gateway } from "./gateway.ts";
import { unique } from "./tools.ts";

describe("forms", () => {
  test.each([
    ["http://host", { base: "http://host", token: "", namespace: "" }],
    ["https://ns:to%2Fken@host:8443/", { base: "https://host:8443", token: "to/ken", namespace: "ns" }],
    ["wss://:token@host/base/", { base: "https://host/base", token: "token", namespace: "" }],
    ["ws://[::1]:6420", { base: "http://[::1]:6420", token: "", namespace: "" }],
  ])("%s", (text, expected) => {
    expect(parseEndpoint(text)).toStrictEqual(expected);
  });

  test("the addresses of sessions", () => {
    const { base } = parseEndpoint("https://a:b@host/base");
    expect(connectUrl(base, "webtransport")).toBe("https://host/base/v1/connect");
    expect(connectUrl("http://127.0.0.1:1", "webtransport")).toBe("https://127.0.0.1:1/v1/connect");
    expect(connectUrl(base, "websocket")).toBe("wss://host/base/v1/connect");
  });

  test("what cannot be used is refused at once, and without telling a token", () => {
    for (const endpoint of ["", "host:80", "ftp://x:secret@host", "//x:secret@host"]) {
      let error: unknown;
      try {
        createClient(endpoint);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(ActorError);
      expect(String(error)).toContain("request.invalid");
      expect(String(error)).not.toContain("secret");
    }
  });

  test.each([
    ["endpiont", 'createClient has no option "endpiont", did you mean "endpoint"?'],
    ["waittimeout", 'createClient has no option "waittimeout", did you mean "waitTimeoutMs"?'],
    ["nothingLikeIt", 'createClient has no option "nothingLikeIt".'],
    ["x".repeat(1000), `createClient has no option "${"x".repeat(1000)}".`],
  ])("an option that there is not, with the nearest that there is: %s", (name, message) => {
    expect(() => createClient({ [name]: 1 })).toThrow(expect.objectContaining({ group: "request", code: "invalid", message }));
  });

  test("options that there are not, or that cannot be", () => {
    for (const options of [{ endpiont: "x" }, { encoding: "cbor" }, { waitTimeoutMs: 0 }, { maxQueuedBytes: Number.NaN }]) {
      expect(() => createClient(options as never)).toThrow(ActorError);
    }
  });
});

describe("defaults", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.unstubAllGlobals();
  });

  function clean(): void {
    for (const name of Object.keys(process.env)) if (/^(STAGEDOOR|RIVET)_/.test(name)) vi.stubEnv(name, undefined);
  }

  test("a development gateway", async () => {
    clean();
    expect(await new EndpointSource({}).get()).toStrictEqual({ base: "http://127.0.0.1:6420", token: "", namespace: "" });
  });

  test("the environment, ours before that of Rivet", async () => {
    clean();
    vi.stubEnv("RIVET_ENDPOINT", "http://rivet");
    vi.stubEnv("RIVET_TOKEN", "rivet");
    vi.stubEnv("RIVET_NAMESPACE", "n");
    expect(await new EndpointSource({}).get()).toStrictEqual({ base: "http://rivet", token: "rivet", namespace: "n" });
    vi.stubEnv("STAGEDOOR_ENDPOINT", "http://ours");
    vi.stubEnv("STAGEDOOR_TOKEN", "ours");
    expect(await new EndpointSource({}).get()).toStrictEqual({ base: "http://ours", token: "ours", namespace: "n" });
    expect(await new EndpointSource({ token: "option" }).get()).toMatchObject({ token: "option" });
  });

  test("the environment's token goes to no endpoint but its own", async () => {
    clean();
    vi.stubEnv("STAGEDOOR_TOKEN", "ours");
    expect(await new EndpointSource({ endpoint: "http://other" }).get()).toMatchObject({ token: "" });
  });

  test("in a page, the runner at its origin", async () => {
    clean();
    vi.stubGlobal("location", { origin: "https://app.example" });
    const asked: unknown[] = [];
    vi.stubGlobal("fetch", (url: string) => {
      asked.push(url);
      return Promise.resolve(Response.json({ clientEndpoint: "https://gateway.example", clientToken: "public" }));
    });
    expect(await new EndpointSource({}).get()).toStrictEqual({ base: "https://gateway.example", token: "public", namespace: "" });
    expect(asked).toStrictEqual(["https://app.example/api/rivet/metadata"]);
  });
});

describe("metadata", () => {
  afterEach(() => vi.unstubAllGlobals());
  const follow = (endpoint: string, clientEndpoint: string) => {
    vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ clientEndpoint })));
    return new EndpointSource({ endpoint, token: "t" }).get();
  };

  test.each(["ftp://gateway", "file:///etc/passwd", "javascript:alert(1)", "/relative", "http://gateway.example"])("of https that names %s is refused", async (named) => {
    await expect(follow("https://app.example/api/rivet", named)).rejects.toMatchObject({ group: "request", code: "invalid", retryable: false });
  });

  test.each([
    ["https://app.example/api/rivet", "wss://gateway.example", "https://gateway.example"],
    ["https://app.example/api/rivet", "http://127.0.0.1:6420", "http://127.0.0.1:6420"],
    ["http://app.example/api/rivet", "http://gateway.example", "http://gateway.example"],
  ])("of %s that names %s is followed", async (endpoint, named, base) => {
    expect(await follow(endpoint, named)).toMatchObject({ base, token: "t" });
  });
});

describe("a runner's address", () => {
  let gateway: Gateway;
  let metadata: (path: string) => [status: number, body: string];
  const server = createServer((request, response) => {
    const [status, body] = metadata(request.url ?? "");
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });

  beforeAll(async () => {
    gateway = await startGateway({ args: ["--client-token", "public", "--runner-token", "runner"], runner: [bin("examples")] });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });

  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await gateway?.stop();
  });

  const address = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/rivet`;

  test("is followed to its gateway", async () => {
    const asked: string[] = [];
    metadata = (path) => {
      asked.push(path);
      return [200, JSON.stringify({ runtime: "stagedoor", clientEndpoint: gateway.url, clientNamespace: "web", clientToken: "public" })];
    };
    const c = createClient<Examples>(address());
    const key = unique("followed");
    expect(await c.counter.getOrCreate(key).increment(1)).toBe(1);
    expect(await c.counter.get(key).resolve()).toMatch(/^local-/);
    expect(asked).toStrictEqual(["/api/rivet/metadata"]);
    const direct = createClient<Examples>({ endpoint: gateway.url, token: "public", namespace: "web" });
    expect(await direct.counter.get(key).getCount()).toBe(1);
    await c.dispose();
    await direct.dispose();
  });

  test.each([
    ["names no gateway", () => [200, "{}"] as const, /clientEndpoint/],
    ["is broken", () => [500, "no"] as const, /answered 500/],
    ["is something else", () => [200, "<html>"] as const, /without metadata/],
  ])("that %s", async (_, answer, message) => {
    metadata = () => [...answer()];
    const c = createClient<Examples>(address(), { waitTimeoutMs: 100 });
    await expect(c.counter.get("x").getCount()).rejects.toMatchObject({ code: "unreachable", message: expect.stringMatching(message) as string });
    await c.dispose();
  });

  test("that does not answer is given up", async () => {
    const silent = createServer(() => {}).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/api/rivet`;
    const gone = new Promise<void>((resolve) => silent.on("connection", (socket) => socket.on("close", () => resolve())));
    const c = createClient<Examples>(url, { connectTimeoutMs: 50, waitTimeoutMs: 100 });
    await expect(c.counter.get("x").getCount()).rejects.toMatchObject({ code: "unreachable" });
    await gone;
    await c.dispose();
    silent.closeAllConnections();
    silent.close();
  });

  test("that has no metadata is a gateway behind a path", async () => {
    metadata = () => [404, "{}"];
    expect(await new EndpointSource({ endpoint: `${address()}/` }).get()).toMatchObject({ base: address() });
  });
});

test("an endpoint that is found lazily: only at the first use, and again when it was not there", async () => {
  const gateway = await startGateway({ runner: [bin("examples")] });
  const found: string[] = [];
  const endpoint = async () => {
    await Promise.resolve();
    found.push("asked");
    if (found.length === 1) throw new Error("not yet");
    return found.length === 2 ? "http://127.0.0.1:1" : gateway.url;
  };
  const c = createClient<Examples>({ endpoint, backoffMinMs: 1, backoffMaxMs: 1 });
  const counter = c.counter.getOrCreate(unique("lazy"));
  expect(found).toStrictEqual([]);
  expect(await counter.increment(1)).toBe(1);
  await counter.resolve();
  expect(found).toHaveLength(3);
  await c.dispose();
  await gateway.stop();
});

test("an endpoint that cannot be found, ever, is no reason to wait", async () => {
  let asked = 0;
  const reason = new ActorError({ group: "auth", code: "unauthenticated", message: "the session is over", retryable: false });
  const endpoint = () => {
    asked++;
    return Promise.reject(reason);
  };
  const c = createClient<Examples>({ endpoint });
  const counter = c.counter.getOrCreate("x");
  const conn = counter.connect();
  const closed = new Promise((resolve) => conn.onClose(resolve));
  const expected = { group: "auth", code: "unauthenticated", message: "the session is over", ran: "no" };
  await expect(counter.getCount()).rejects.toMatchObject(expected);
  await expect(conn.getCount()).rejects.toMatchObject(expected);
  expect(await closed).toBe(reason);
  await expect(counter.resolve()).rejects.toBe(reason);
  expect(asked).toBe(2);
  await expect(counter.getCount()).rejects.toMatchObject(expected); // a new use asks again
  expect(asked).toBe(3);
  await c.dispose();
});

test("a client that is disposed does not wait for its endpoint", async () => {
  const log: string[] = [];
  const c = createClient<Examples>({ endpoint: () => new Promise<string>(() => {}), log: (_, message) => log.push(message) });
  const waiting = c.counter.getOrCreate("x").getCount().catch((error: unknown) => error);
  await Promise.resolve();
  await c.dispose(); // after 10 s, would it be waited for
  expect(await waiting).toMatchObject({ group: "client", code: "closed" });
  expect(log).toStrictEqual([]);
}, 5_000);
