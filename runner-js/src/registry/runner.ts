import type { Definition } from "../actor/definition.ts";
import { createHost } from "../host/index.ts";
import { runLink } from "../link/index.ts";
import type { Config } from "./config.ts";
import { refused } from "./refused.ts";
import { settledClient } from "./settled.ts";

/** What a runner is started with. */
export interface RunnerSetup {
  readonly config: Config;
  readonly endpoint: string;
  readonly use: Readonly<Record<string, Definition>>;
  /** The client that is behind `c.client()`. */
  readonly client: () => object;
}

/** A runner that is on its way or at work. */
export interface RunningRunner {
  /** Fulfilled when the gateway has taken the runner; rejected when it will not, or when the runner was stopped before. */
  readonly ready: Promise<void>;
  /** Fulfilled when it has stopped; rejected when the gateway would not have it any more [LINK-5]. */
  readonly ended: Promise<void>;
  /** Hands the actors over, then stops. */
  stop(): void;
}

/** Hosts the actor types behind the gateway until it is stopped. */
export function startRunner({ config, endpoint, use, client }: RunnerSetup): RunningRunner {
  const { log } = config;
  const stopping = new AbortController();
  let taken = (): void => undefined;
  const welcome = new Promise<void>((resolve) => (taken = resolve));
  const host = createHost(use, { log, clientFor: (settle) => settledClient(client(), settle) });
  const ended = runLink({
    endpoint,
    token: config.token,
    pool: config.runnerName,
    version: config.runnerVersion,
    region: config.region,
    host,
    log,
    signal: stopping.signal,
    drainTimeoutMs: config.drainTimeoutMs,
    onReady: () => {
      log.info(`hosting ${Object.keys(use).join(", ")} behind ${endpoint}`);
      taken();
    },
  }).catch((error: unknown) => {
    throw refused(error, config.token, endpoint);
  });
  const ready = Promise.race([
    welcome,
    ended.then(() => {
      throw new Error("the runner was stopped before the gateway had taken it");
    }),
  ]);
  // Whoever waits for it hears of a failure; that nobody does is no failure of its own.
  ready.catch(() => undefined);
  ended.catch(() => undefined);
  return {
    ready,
    ended,
    stop: () => {
      stopping.abort();
    },
  };
}
