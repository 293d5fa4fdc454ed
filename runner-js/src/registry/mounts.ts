import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import type { FetchHandler } from "./listen.ts";
import { takePlace } from "./reload.ts";
import type { Replaceable } from "./reload.ts";

/** What has a handler: what `setup()` returns. */
export interface HasHandler {
  handler(request: Request): Promise<Response>;
}

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

/** The exports of a route of the Next.js app router. */
export type NextHandler = Readonly<Record<(typeof methods)[number], FetchHandler>>;

/**
 * Mounts a registry in the Next.js app router, in `app/api/rivet/[...all]/route.ts`:
 * `export const { GET, POST, PUT, DELETE, OPTIONS } = toNextHandler(registry)`. It starts nothing while `next build` runs.
 * Under `next dev`, changed code takes the place of the code before when it gets its first request.
 */
export function toNextHandler(registry: HasHandler & Replaceable): NextHandler {
  const handler: FetchHandler = (request) => {
    // Routes may be asked while they are built; an answer that was made then would be kept.
    if (process.env["NEXT_PHASE"] === "phase-production-build") return new Response(null, { status: 503 });
    if (process.env["NODE_ENV"] === "development") takePlace(registry);
    return registry.handler(request);
  };
  return Object.fromEntries(methods.map((method) => [method, handler])) as NextHandler;
}

/** A listener of Node's own HTTP servers, and a middleware of Express. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Mounts a registry in Express, `app.use("/api/rivet", toNodeHandler(registry))`, or in a server of `node:http`. Mount it
 * before middlewares that read bodies.
 */
export function toNodeHandler(registry: HasHandler): NodeHandler {
  const listener = getRequestListener((request) => registry.handler(request), { overrideGlobalObjects: false });
  return (request, response) => {
    // Express cuts the path at which it was mounted off the URL.
    const { originalUrl } = request as IncomingMessage & { readonly originalUrl?: string };
    if (originalUrl !== undefined) request.url = originalUrl;
    void listener(request, response);
  };
}
