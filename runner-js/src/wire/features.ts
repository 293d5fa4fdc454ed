/** Feature of the runner protocol beyond its core [LINK-4]. */
export type Feature = "connections" | "events" | "kv" | "resume" | "adopt" | "credit";

/** FEATURES are what this package offers. */
export const FEATURES: readonly Feature[] = ["connections", "events", "kv", "resume", "adopt", "credit"];

/** The range of versions of the runner protocol that this package speaks. */
export const PROTOCOL_MIN = 1;
export const PROTOCOL_MAX = 1;

/** SUBPROTOCOL of the WebSocket. */
export const SUBPROTOCOL = "stagedoor.runner.v1alpha1";

/** negotiate is what both sides name. */
export function negotiate(theirs: readonly string[]): ReadonlySet<Feature> {
  return new Set(FEATURES.filter((f) => theirs.includes(f)));
}
