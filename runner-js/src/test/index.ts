import { createClient } from "@stagedoor/client";
import type { Client } from "@stagedoor/client";
import { clientOf } from "../registry/clients.ts";
import { resolveConfig } from "../registry/config.ts";
import { Lifecycle } from "../registry/lifecycle.ts";
import type { Registry, Use } from "../registry/registry.ts";
import { startTestGateway } from "./gateway.ts";

/** Where `setupTest` leaves what is to be done behind the test: the context of vitest, or that of `node:test`. */
export type TestContext = { onTestFinished(done: () => Promise<void>): void } | { after(done: () => Promise<void>): void };

/** What a test works with. */
export interface TestSetup<U extends Use> {
  readonly client: Client<Registry<U>>;
  /** The test's own gateway. */
  readonly endpoint: string;
}

/**
 * Hosts a registry's actors in this process, behind a real gateway that is the test's own: on a free port, with data that is
 * removed. All of it ends with the test. The registry's own options do not count.
 */
export async function setupTest<U extends Use>(t: TestContext, registry: Registry<U>): Promise<TestSetup<U>> {
  const gateway = await startTestGateway();
  const config = resolveConfig({ endpoint: gateway.endpoint, handleSignals: false, logLevel: "warn" }, {});
  const lifecycle: Lifecycle = new Lifecycle(registry.config.use, () => config, clientOf(() => config, (): Lifecycle => lifecycle));
  const client = createClient<Registry<U>>(gateway.endpoint);
  afterTest(t, async () => {
    await client.dispose();
    await lifecycle.stop();
    await gateway.stop();
  });
  await lifecycle.start();
  return { client, endpoint: gateway.endpoint };
}

function afterTest(t: TestContext, done: () => Promise<void>): void {
  if ("onTestFinished" in t) t.onTestFinished(done);
  else t.after(done);
}
