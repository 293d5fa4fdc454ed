import type { Definition } from "../actor/definition.ts";
import type { AnyActor } from "../actor/helpers.ts";
import { clientOf, clientPreparation } from "./clients.ts";
import { report, resolveConfig } from "./config.ts";
import type { Config, RegistryOptions } from "./config.ts";
import { setCurrent } from "./current.ts";
import { handle } from "./handler.ts";
import { Lifecycle } from "./lifecycle.ts";
import { isDefaultExportOfProgram, listenOn } from "./listen.ts";
import type { FetchHandler, Listening, ListenOptions } from "./listen.ts";

/** The actor types of a registry, by name. */
export type Use = Readonly<Record<string, AnyActor & Definition>>;

/** What `serve()` returns: a default export that Bun, Deno and other servers understand. */
export interface ServeExport {
  readonly fetch: FetchHandler;
}

/**
 * What a process hosts. Its functions need no `this`. In Bun, Deno and others than Node, `listen` is not needed: they serve
 * the default export.
 */
export interface Registry<U extends Use = Use> {
  /** A client reads the types of its calls off it. */
  readonly config: { readonly use: U };
  /** Answers a request under the base path; the first one starts the runner. Every failure is an answer. */
  handler(this: void, request: Request): Promise<Response>;
  /** Starts the runner and returns `{ fetch }` to be the default export; where that is what Node runs, it also listens. */
  serve(this: void): ServeExport;
  /** Starts the runner. A failure is logged, and becomes the exit status. */
  startRunner(this: void): void;
  /** startRunner. */
  start(this: void): void;
  /** startRunner. */
  startEnvoy(this: void): void;
  /** Starts the runner; fulfilled when the gateway has taken it, rejected when it will not. */
  startAndWait(this: void): Promise<void>;
  /** Starts the runner and takes HTTP for the handler with Node's server. */
  listen(this: void, options?: ListenOptions): Promise<Listening>;
  /**
   * Hands the actors over, stops the runner, closes what listens: each for at most `drainTimeoutMs`. It may be started again.
   */
  shutdown(this: void): Promise<void>;
}

/** Makes a registry of checked definitions. It starts nothing, and reads the environment at the first use. */
export function makeRegistry<U extends Use>(use: U, options: RegistryOptions): Registry<U> {
  let resolved: Config | undefined;
  const config = (): Config => (resolved ??= resolveConfig(options, process.env));
  const lifecycle: Lifecycle = new Lifecycle(use, config, clientOf(config, (): Lifecycle => lifecycle));

  const startRunner = (): void => {
    lifecycle.start().catch((error: unknown) => {
      fail(config, "the runner cannot start", error);
    });
  };
  const handler = (request: Request): Promise<Response> => handle({ use, config, lifecycle }, request);
  const listen = async (where: ListenOptions = {}): Promise<Listening> => {
    const listening = await listenOn(handler, { port: config().port, ...where, closeTimeoutMs: config().drainTimeoutMs });
    config().log.info(`listening at http://localhost:${listening.port}${config().basePath}`);
    lifecycle.onStop(listening.close);
    startRunner();
    return listening;
  };
  const serve = (): ServeExport => {
    const exported: ServeExport = Object.freeze({ fetch: handler });
    startRunner();
    isDefaultExportOfProgram(exported)
      .then((isProgram) => (isProgram ? listen() : undefined))
      .catch((error: unknown) => {
        fail(config, "serve() cannot listen", error);
      });
    return exported;
  };

  setCurrent({ prepareClient: clientPreparation(config, lifecycle) });
  return Object.freeze({
    config: Object.freeze({ use }),
    handler,
    serve,
    startRunner,
    start: startRunner,
    startEnvoy: startRunner,
    startAndWait: () => lifecycle.start(),
    listen,
    shutdown: () => lifecycle.stop(),
  });
}

/** Tells of what nobody waits for, and lets the process end with it if nothing else keeps it. */
function fail(config: () => Config, what: string, error: unknown): void {
  process.exitCode = 1;
  report(config, "fatal", what, error);
}
