// A gateway, links to it, and a proxy between them that a test can cut.
import { createServer, connect, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach } from "vitest";
import { startGateway, type Gateway, type GatewayOptions } from "../../clients/js/test/gateway.ts";
import { runLink, type LinkOptions } from "../src/link/index.ts";
import { linesOf, type EchoHost } from "./link-echo.ts";

const ends: (() => Promise<void> | void)[] = [];

/** Everything that a test has started ends with it, the last first. */
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

export function atEnd(end: () => Promise<void> | void): void {
  ends.push(end);
}

export async function gateway(options: GatewayOptions = {}): Promise<Gateway> {
  const g = await startGateway(options);
  atEnd(() => g.kill());
  return g;
}

/** link runs a link to the end of the test, and waits until it is ready, or over. */
export async function link(endpoint: string, host: EchoHost, options: Partial<LinkOptions> = {}) {
  const started = launch(endpoint, host, options);
  await Promise.race([started.ready, started.done.catch(() => {})]);
  return started;
}

/** launch runs a link to the end of the test. */
export function launch(endpoint: string, host: EchoHost, options: Partial<LinkOptions> = {}) {
  const log = linesOf();
  const stop = new AbortController();
  let onReady!: () => void;
  const ready = new Promise<void>((resolve) => (onReady = resolve));
  const done = runLink({ endpoint, host, log, signal: stop.signal, drainTimeoutMs: 5000, onReady, ...options });
  const settled = done.catch(() => {});
  atEnd(() => {
    stop.abort();
    return settled;
  });
  return { log, stop, done, ready };
}

/** call calls an action of an echo actor over HTTP. */
export async function call(g: { url: string }, key: string, action: string, args: unknown[] = []): Promise<unknown> {
  const answer = await fetch(`${g.url}/v1/actors/echo:${key}/actions/${action}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ args }),
  });
  const body = (await answer.json()) as { output?: unknown; error?: { group: string; code: string } };
  if (body.error !== undefined) throw Object.assign(new Error(JSON.stringify(body.error)), body.error);
  return body.output;
}

/** Proxy passes bytes on, as they are or changed. */
export interface Proxy {
  readonly port: number;
  /** How many sockets were made so far. */
  sockets: number;
  /** cut breaks all sockets, both sides at once. */
  cut(): void;
  /** inject sends bytes to the runner, as if from the gateway. */
  inject(bytes: Uint8Array): void;
}

/** upstream changes what a runner sends first on a socket. */
export async function proxy(to: number, upstream: (first: Buffer) => Buffer = (b) => b): Promise<Proxy> {
  const pairs = new Set<[Socket, Socket]>();
  const server = createServer((down) => {
    const up = connect(to, "127.0.0.1");
    const pair: [Socket, Socket] = [down, up];
    pairs.add(pair);
    it.sockets++;
    down.once("data", (first) => {
      up.write(upstream(first));
      down.pipe(up);
    });
    up.pipe(down);
    for (const s of pair) {
      s.on("error", () => {});
      s.on("close", () => {
        for (const other of pair) other.destroy();
        pairs.delete(pair);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const it = {
    port: (server.address() as AddressInfo).port,
    sockets: 0,
    cut: () => pairs.forEach((pair) => pair.forEach((s) => s.resetAndDestroy())),
    inject: (bytes: Uint8Array) => pairs.forEach(([down]) => down.write(bytes)),
  };
  atEnd(() => {
    it.cut();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  return it;
}

/** freePort is one that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
