import { createServer } from "node:http";
import type { Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";
import { getRequestListener } from "@hono/node-server";

export type FetchHandler = (request: Request) => Response | Promise<Response>;

/** Where `listen()` takes HTTP. */
export interface ListenOptions {
  /** Default: the option `port` of setup(); 0: any free one. */
  readonly port?: number;
  /** Default: all addresses. */
  readonly hostname?: string;
}

/** An HTTP server of Node that answers with a fetch handler. */
export interface Listening {
  readonly port: number;
  /** Takes no more requests, and waits for those under way, at most `drainTimeoutMs` of setup(). */
  close(this: void): Promise<void>;
}

interface ListenParts extends ListenOptions {
  readonly port: number;
  readonly closeTimeoutMs: number;
}

/** Takes HTTP with Node's server. */
export async function listenOn(fetch: FetchHandler, options: ListenParts): Promise<Listening> {
  const answer = getRequestListener(fetch, { overrideGlobalObjects: false });
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.hostname, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => close(server, options.closeTimeoutMs) };
}

function close(server: Server, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(() => {
      server.closeAllConnections();
    }, timeoutMs);
    server.close(() => {
      clearTimeout(late);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/**
 * Whether a value is the default export of the program that Node runs: Bun and `deno serve` then listen by themselves, Node
 * does not. Settled when that module is evaluated.
 */
export async function isDefaultExportOfProgram(value: object): Promise<boolean> {
  const program = process.argv[1];
  // In a worker the program is not loaded, and importing it would run it again.
  if (program === undefined || !isMainThread || "Bun" in globalThis || "Deno" in globalThis) return false;
  try {
    // `node .` and `node server` name no file yet.
    const file = createRequire(import.meta.url).resolve(/* turbopackIgnore: true */ program);
    // The module is there already: importing it again by its URL gives the same one, also through loaders such as tsx.
    const main = (await import(/* webpackIgnore: true */ /* @vite-ignore */ pathToFileURL(file).href)) as { readonly default?: unknown };
    return main.default === value || (main.default as { readonly default?: unknown } | undefined)?.default === value;
  } catch {
    return false;
  }
}
