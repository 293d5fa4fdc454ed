import { setTimeout as delay } from "node:timers/promises";
import type { Definition } from "../actor/definition.ts";
import { errorAnswer, preflight, publicJson } from "./answers.ts";
import { report } from "./config.ts";
import type { Config } from "./config.ts";
import { forward, isForwarded } from "./forward.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { toldOf } from "./refused.ts";
import { version } from "./version.ts";

/** How long a request waits for the runner to be taken by the gateway. */
const readyTimeoutMs = 5_000;

/** What the handler answers from. */
export interface HandlerParts {
  readonly use: Readonly<Record<string, Definition>>;
  readonly config: () => Config;
  readonly lifecycle: Lifecycle;
}

/** Whether the gateway has this runner; "failed": it will not, which is in the log. */
type Readiness = "ready" | "waiting" | "failed";

/** Answers a request under the base path; the first one starts the runner. Every failure is an answer. */
export async function handle(parts: HandlerParts, request: Request): Promise<Response> {
  try {
    return await answer(parts, request);
  } catch (error) {
    report(parts.config, "error", "the handler cannot answer", error);
    return errorAnswer(500, "internal.error", "The runner cannot answer; its log says why.");
  }
}

async function answer(parts: HandlerParts, request: Request): Promise<Response> {
  const config = parts.config();
  const { pathname } = new URL(request.url);
  if (pathname !== config.basePath && !pathname.startsWith(`${config.basePath}/`)) {
    return errorAnswer(404, "request.not_found", `This registry answers under ${config.basePath}; setup({ basePath }) changes that.`);
  }
  const path = pathname.slice(config.basePath.length).replace(/\/$/, "");
  if (parts.lifecycle.down) return errorAnswer(503, "runner.draining", "The runner was shut down.", true);
  if (isForwarded(path)) return forwarded(parts, request, path);
  if (!["", "/metadata", "/health"].includes(path)) return errorAnswer(404, "request.not_found", "There is no such endpoint.");
  if (request.method === "OPTIONS") return preflight();
  if (request.method !== "GET" && request.method !== "HEAD") return notAllowed();
  if (path === "") return new Response(`This is a runner of Stagedoor. Its actors are reached through the gateway that ${config.basePath}/metadata names.\n`);
  return path === "/metadata" ? metadata(parts, config) : health(parts);
}

async function forwarded(parts: HandlerParts, request: Request, path: string): Promise<Response> {
  if (request.method === "DELETE") return notAllowed();
  // A runner that is on its way is no reason to refuse: the gateway knows whether another one hosts the actor.
  if ((await readinessOf(parts)) === "failed") return failed();
  return forward(request, path, parts.lifecycle.endpoint());
}

/** The document by which a client that was given this URL finds the gateway. */
async function metadata(parts: HandlerParts, config: Config): Promise<Response> {
  if ((await readinessOf(parts)) === "failed") return failed();
  const endpoint = config.public.endpoint ?? (config.development ? parts.lifecycle.endpoint() : undefined);
  return publicJson(200, {
    runtime: "stagedoor",
    version,
    actorNames: Object.fromEntries(Object.entries(parts.use).map(([name, definition]) => [name, { metadata: display(definition) }])),
    ...(endpoint !== undefined && { clientEndpoint: endpoint, clientNamespace: config.public.namespace }),
    ...(config.public.token !== "" && { clientToken: config.public.token }),
  });
}

async function health(parts: HandlerParts): Promise<Response> {
  const ready = (await readinessOf(parts)) === "ready";
  return publicJson(ready ? 200 : 503, { status: ready ? "ok" : "runner_not_ready", runtime: "stagedoor", version });
}

function display({ displayName, icon }: Definition): object {
  return { ...(displayName !== undefined && { name: displayName }), ...(icon !== undefined && { icon }) };
}

async function readinessOf({ config, lifecycle }: HandlerParts): Promise<Readiness> {
  const timer = new AbortController();
  const started = lifecycle.start().then(
    (): Readiness => "ready",
    (error: unknown): Readiness => {
      config().log.error("the runner cannot start", { error: toldOf(error) });
      return "failed";
    },
  );
  const waited = delay<Readiness>(readyTimeoutMs, "waiting", { signal: timer.signal }).catch((): Readiness => "waiting");
  try {
    return await Promise.race([started, waited]);
  } finally {
    timer.abort();
  }
}

function notAllowed(): Response {
  return errorAnswer(405, "request.method_not_allowed", "The endpoint does not take this method.");
}

function failed(): Response {
  return errorAnswer(500, "internal.error", "The runner cannot start; its log says why.");
}
