// One process: the page, the API of the registry, and the runner that hosts the rooms.
import { fileURLToPath } from "node:url";
import { serve, type HttpBindings } from "@hono/node-server";
import { serveStatic } from "@hono/node-server/serve-static";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { Hono, type Handler } from "hono";
import { registry } from "./registry.ts";

type Env = { Bindings: HttpBindings };

const root = fileURLToPath(new URL("..", import.meta.url));
const port = Number(process.env["PORT"] ?? 3000);

/** The page from its sources: Vite bundles as the browser asks, and sends what changes. */
async function pageFromSources(): Promise<Handler<Env>> {
  const { createServer } = await import("vite");
  const vite = await createServer({ root, server: { middlewareMode: true, hmr: { host: "127.0.0.1" } } });
  return (c) =>
    new Promise((resolve, reject) => {
      const { incoming, outgoing } = c.env;
      outgoing.on("close", () => resolve(RESPONSE_ALREADY_SENT));
      vite.middlewares(incoming, outgoing, (error?: Error) => (error ? reject(error) : resolve(c.notFound())));
    });
}

const app = new Hono<Env>();
app.all("/api/rivet/*", (c) => registry.handler(c.req.raw));
app.get("*", process.argv.includes("--dev") ? await pageFromSources() : serveStatic({ root: `${root}/dist/public` }));

registry.startRunner();
serve({ fetch: app.fetch, hostname: "127.0.0.1", port }, (address) => console.log(`chat: http://127.0.0.1:${address.port}/`));
