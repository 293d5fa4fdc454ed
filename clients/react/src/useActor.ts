import { useEffect, useInsertionEffect, useMemo, useRef, useSyncExternalStore } from "react";
import type { ActorConn, AnyActorDefinition, AnyRegistry } from "@stagedoor/client";
import { identify } from "./identity.ts";
import type { Pool, Wanted } from "./pool.ts";
import type { UseActorOptions, UseActorResult } from "./types.ts";

type AnyHandler = (...args: unknown[]) => void;

/** useActor of the components of one client. */
export function useActorOf(pool: Pool, options: UseActorOptions<AnyRegistry, string>): UseActorResult<AnyActorDefinition> {
  const wanted = wantedBy(options);
  const identity = identify(wanted);
  // The identity says all of what is wanted but how to create the actor, for which the rendering counts that came first.
  const source = useMemo(() => pool.source(wanted, identity), [pool, identity]);
  const enabled = options.enabled ?? true;
  const idle = () => source.idle;
  const snapshot = useSyncExternalStore(enabled ? source.subscribe : subscribeToNothing, enabled ? source.current : idle, idle);
  return useMemo(() => {
    const { connection } = snapshot;
    return { ...snapshot, useEvent: (event: string, handler: AnyHandler) => useConnectionEvent(connection, event, handler) };
  }, [snapshot]);
}

function wantedBy(options: UseActorOptions<AnyRegistry, string>): Wanted {
  const { name, key, params, noCreate, createInRegion } = options;
  return {
    name,
    key: typeof key === "string" ? [key] : [...key],
    params,
    noCreate: noCreate ?? false,
    creation: {
      ...("createWithInput" in options && { createWithInput: options.createWithInput }),
      ...(createInRegion !== undefined && { createInRegion }),
    },
  };
}

const subscribeToNothing = () => () => {};

function useConnectionEvent(connection: ActorConn<AnyActorDefinition> | null, event: string, handler: AnyHandler): void {
  const newest = useRef(handler);
  // Before all other effects, so that none of them meets an event with the handler of an earlier rendering.
  useInsertionEffect(() => {
    newest.current = handler;
  });
  useEffect(() => connection?.on(event, (...args: unknown[]) => newest.current(...args)), [connection, event]);
}
