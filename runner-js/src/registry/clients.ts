import { createClient } from "@stagedoor/client";
import type { AnyRegistry, Client } from "@stagedoor/client";
import type { Config } from "./config.ts";
import { formatEndpoint } from "./endpoint.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { toldOf } from "./refused.ts";

/** Where the clients of this process go. */
function target(config: Config, lifecycle: Lifecycle): string {
  return formatEndpoint({ url: lifecycle.endpoint(), namespace: config.namespace, token: config.clientToken });
}

/** One client for all actors, made at its first use, and closed behind the runner. */
export function clientOf(config: () => Config, lifecycle: () => Lifecycle): () => object {
  let client: Client<AnyRegistry> | undefined;
  return () => {
    if (client === undefined) {
      const made = createClient(target(config(), lifecycle()));
      client = made;
      lifecycle().onStop(async () => {
        client = undefined;
        await made.dispose();
      });
    }
    return client;
  };
}

/** How long the first call of a client waits for the runner of its own process, where the gateway is a configured one. */
const runnerTimeoutMs = 5_000;

/**
 * What a client without endpoint does before its first use. The client tries again for a while before it tells its caller of
 * a failure, so that is in the log at once, when it changes.
 */
export function clientPreparation(config: () => Config, lifecycle: Lifecycle): () => Promise<string> {
  let told = "";
  return async () => {
    try {
      return await prepareClient(config(), lifecycle);
    } catch (error) {
      if (told !== String(error)) config().log.error("a client of this process finds no gateway", { error: toldOf(error) });
      told = String(error);
      throw error;
    }
  };
}

async function prepareClient(config: Config, lifecycle: Lifecycle): Promise<string> {
  const where = target(config, lifecycle);
  if (!config.development || lifecycle.down) return where;
  const started = lifecycle.start();
  if (config.endpoint === undefined) await started;
  else await settledWithin(started, runnerTimeoutMs); // others may host the actors: the call shows it
  return where;
}

async function settledWithin(promise: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)));
  await Promise.race([promise.catch(() => undefined), late]);
  clearTimeout(timer);
}
