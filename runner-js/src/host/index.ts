// The host: actors in memory, their turns, flushes, connections, KV and life. It speaks to the gateway through link/port.ts.
export { createHost } from "./host.ts";
export type { ActorHost, HostOptions } from "./host.ts";
