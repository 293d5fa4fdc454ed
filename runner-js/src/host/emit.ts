import { fault } from "./fault.ts";
import type { Incarnation } from "./incarnation.ts";
import { encodeValue } from "./payload.ts";

const maxName = 128;

/**
 * emit sends an event: to the connections subscribed to it, or, with `to`, to those, subscribed or not [CONN-3]. What cannot be sent
 * is an error at once.
 */
export function emit(actor: Incarnation, event: string, args: unknown[], to?: readonly number[]): void {
  if (actor.over) return;
  checkEvent(actor, event);
  const bytes = encodeValue(args, "args");
  const limit = actor.port.session.limits.maxEvent;
  if (bytes.length > limit) throw fault("event.too_large", `The event "${event}" has ${bytes.length} bytes, at most ${limit} are allowed.`);
  if (to?.length === 0 || (to === undefined && actor.conns.visible.size === 0)) return;
  checkRoom(actor);
  actor.ledger.output({ kind: "emit", actor: actor.port.ref, event, args: bytes, to });
}

function checkEvent(actor: Incarnation, event: string): void {
  if (typeof event !== "string" || event === "" || (event.length > maxName / 3 && Buffer.byteLength(event) > maxName)) {
    throw new TypeError(`an event's name is 1 to ${maxName} bytes of UTF-8`);
  }
  const { events } = actor.type;
  if (events !== undefined && !events.has(event)) {
    throw fault("event.not_found", `The actor type ${actor.name} declares its events, and "${event}" is not one of them.`);
  }
  if (!actor.port.session.features.has("events")) throw new Error("the gateway does not offer events");
}

/** checkRoom bounds what a turn sends or writes faster than it can leave: a turn without await cannot be paced. */
export function checkRoom(actor: Incarnation): void {
  const bound = 4 * actor.port.session.limits.maxHeldBytes;
  if (actor.ledger.bytes + actor.outbox.backlog > bound) {
    throw new Error(`more than ${bound} bytes wait to be sent; let the turn await saveState({ immediate: true }) now and then`);
  }
}
