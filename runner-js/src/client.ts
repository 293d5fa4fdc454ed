import { ActorError, createClient as createClientOf } from "@stagedoor/client";
import type { AnyRegistry, Client, ClientOptions } from "@stagedoor/client";
import { resolveConfig } from "./registry/config.ts";
import { getCurrent } from "./registry/current.ts";
import { developmentEndpoint, formatEndpoint } from "./registry/endpoint.ts";

export * from "@stagedoor/client";

/**
 * The client of @stagedoor/client. Without an endpoint it goes where the registry of this process goes; without registry to
 * STAGEDOOR_ENDPOINT or the local gateway; in a browser where @stagedoor/client goes. In development its first use finds or
 * starts the gateway and the runner of the registry.
 */
export function createClient<R extends AnyRegistry = AnyRegistry>(
  endpoint?: ClientOptions["endpoint"] | ClientOptions,
  options: ClientOptions = {},
): Client<R> {
  const given: ClientOptions = typeof endpoint === "object" ? { ...endpoint, ...options } : { ...options, endpoint: endpoint ?? options.endpoint };
  const find = given.endpoint === undefined && typeof process !== "undefined";
  return createClientOf<R>(find ? { ...given, endpoint: findEndpoint } : given);
}

/** Looked for long enough where it fails: the caller is told at once. */
async function findEndpoint(): Promise<string> {
  try {
    const host = getCurrent();
    return await (host === undefined ? ofEnvironment() : host.prepareClient());
  } catch (cause) {
    if (cause instanceof ActorError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ActorError({ group: "client", code: "unreachable", message, ran: "no" }, { cause });
  }
}

function ofEnvironment(): string {
  const { endpoint, namespace, clientToken } = resolveConfig({}, process.env);
  return formatEndpoint({ url: endpoint ?? developmentEndpoint(process.env), namespace, token: clientToken });
}
