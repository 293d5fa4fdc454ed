// Numbers of the kinds, as in runner.proto, and the features that they belong to.
import type { Feature } from "./features.ts";

export const CALL = 1;
export const CALL_RESULT = 2;
export const COMMIT = 3;
export const COMMIT_RESULT = 4;
export const EMIT = 5;
export const PART = 6;
export const KV_READ = 8;
export const KV_RESULT = 9;
export const CANCEL_CALL = 12;
export const HELLO = 16;
export const WELCOME = 17;
export const REJECT = 18;
export const START_ACTOR = 20;
export const ACTOR_READY = 21;
export const STOP_ACTOR = 22;
export const ACTOR_STOPPED = 23;
export const ACTOR_INTENT = 24;
export const CONNECTION_OPEN = 30;
export const CONNECTION_CLOSE = 31;
export const CONNECTION_STATE = 32;
export const PRINCIPAL = 34;
export const HOSTED = 50;
export const ADOPTED = 51;
export const DRAIN = 52;
export const FENCE = 60;
export const FENCE_REACHED = 61;
export const UNSUPPORTED = 62;
export const PING = 100;
export const PONG = 101;
export const ACK = 102;
export const CREDIT = 103;
export const RESUMED = 104;
export const GOODBYE = 105;

/** isLinkKind: frames that are not counted and sent first [LINK-2]. */
export function isLinkKind(kind: number): boolean {
  return kind >= 100 && kind <= 127;
}

const featureOf = new Map<number, Feature>([
  [EMIT, "events"],
  [KV_READ, "kv"],
  [KV_RESULT, "kv"],
  [CONNECTION_OPEN, "connections"],
  [CONNECTION_CLOSE, "connections"],
  [CONNECTION_STATE, "connections"],
  [PRINCIPAL, "connections"],
  [HOSTED, "adopt"],
  [ADOPTED, "adopt"],
  [ACK, "resume"],
  [RESUMED, "resume"],
  [CREDIT, "credit"],
]);

/** isNegotiated tells whether frames of the kind may be sent with these features [FRAME-4]. */
export function isNegotiated(kind: number, features: ReadonlySet<Feature>): boolean {
  if (kind === CALL) return true;
  const need = featureOf.get(kind);
  return need === undefined || features.has(need);
}
