// React hooks for actors: createRivetKit (or createStagedoor, which is the same) makes useActor for the actors of a registry.
import { createClient, type AnyRegistry, type Client } from "@stagedoor/client";
import { Pool } from "./pool.ts";
import type { RivetKit } from "./types.ts";
import { useActorOf } from "./useActor.ts";

export { ActorError, createClient } from "@stagedoor/client";
export type { ActorConn, ActorHandle, Client, ConnStatus, Transport } from "@stagedoor/client";
export type { RivetKit, UseActorOptions, UseActorResult } from "./types.ts";

/**
 * createRivetKit makes the hooks for the actors of a registry, with a client of their own: `createRivetKit<typeof registry>()`.
 * It takes what `createClient` takes: an endpoint, or options, or nothing. It connects to nothing.
 */
export function createRivetKit<R extends AnyRegistry>(...endpoint: Parameters<typeof createClient>): RivetKit<R> {
  return createRivetKitWithClient(createClient<R>(...endpoint));
}

/** createStagedoor is createRivetKit. */
export const createStagedoor: typeof createRivetKit = createRivetKit;

/** createRivetKitWithClient makes the hooks on a client that is there already, which stays the caller's: nothing here disposes of it. */
export function createRivetKitWithClient<R extends AnyRegistry>(client: Client<R>): RivetKit<R> {
  // The types of the registry end here: what is below knows actors by their names only.
  const pool = new Pool(client as unknown as Client<AnyRegistry>);
  const useActor = (options: Parameters<typeof useActorOf>[1]) => useActorOf(pool, options);
  return { useActor } as unknown as RivetKit<R>;
}
