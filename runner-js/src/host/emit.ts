import { fault } from "./fault.ts";
import type { Incarnation } from "./incarnation.ts";
import { encodeValue } from "./payload.ts";

const maxName = 128;
/** Of the name and the arguments of an unreliable event together, in bytes [CONN-11]. */
const maxUnreliable = 1000;

/** An event and how it goes. */
export interface Emission {
  /** Refs of connections that get it, subscribed or not; undefined: those that are subscribed do [CONN-3]. */
  readonly to?: readonly number[] | undefined;
  /** It may be dropped, also if it is not declared so [CONN-11]. */
  readonly unreliable?: boolean;
}

/** emit sends an event. What cannot be sent is an error at once. */
export function emit(actor: Incarnation, event: string, args: unknown[], { to, unreliable = false }: Emission = {}): void {
  if (actor.over) return;
  checkEvent(actor, event);
  const drops = unreliable || actor.def.events?.get(event)?.unreliable === true;
  const bytes = encodeValue(args, "args");
  checkSize(actor, event, bytes.length, drops);
  if (to?.length === 0 || (to === undefined && actor.conns.visible.size === 0)) return;
  checkRoom(actor);
  actor.ledger.output({ kind: "emit", actor: actor.port.ref, event, args: bytes, to, unreliable: drops });
}

function checkSize(actor: Incarnation, event: string, bytes: number, unreliable: boolean): void {
  const limit = actor.port.session.limits.maxEvent;
  if (bytes > limit) throw fault("event.too_large", `The event "${event}" has ${bytes} bytes, at most ${limit} are allowed.`);
  const whole = Buffer.byteLength(event) + bytes;
  if (unreliable && whole > maxUnreliable) {
    throw fault("event.too_large", `The unreliable event "${event}" has ${whole} bytes with its name, at most ${maxUnreliable} are allowed.`);
  }
}

function checkEvent(actor: Incarnation, event: string): void {
  if (typeof event !== "string" || event === "" || (event.length > maxName / 3 && Buffer.byteLength(event) > maxName)) {
    throw new TypeError(`an event's name is 1 to ${maxName} bytes of UTF-8`);
  }
  const { events } = actor.def;
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
