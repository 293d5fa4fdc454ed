import { kindOf, refuseUnknownKeys } from "./keys.ts";

declare const payload: unique symbol;

/** A declared event. `T` is its payload; it exists in types only. */
export interface EventType<T> {
  readonly [payload]?: T;
  readonly kind: "event";
  readonly unreliable: boolean;
}

/** What is said of an event besides its payload. */
export interface EventOptions {
  /** However it is sent, it is sent as by `broadcastUnreliable`. Default: false. */
  readonly unreliable?: boolean;
}

/** The declared events of an actor type; undefined: none are declared, and every event may be sent. */
export type Events = Readonly<Record<string, EventType<unknown>>> | undefined;

/** The payloads by name, as a client sees them. */
export type EventPayloads<E extends Events> = undefined extends E ? undefined : { readonly [K in keyof E]: PayloadOf<E[K]> };

type PayloadOf<E> = E extends EventType<infer T> ? T : never;

/** What follows the name in `broadcast` and `send`: a tuple is the arguments, anything else the only one, void none. */
export type EventArgs<T> = [T] extends [undefined | void]
  ? []
  : T extends readonly unknown[]
    ? number extends T["length"]
      ? [payload: T]
      : T
    : [payload: T];

/** Sends an event: typed by the declared events, or with any name and any arguments where none are declared. */
export interface SendEvent<E extends Events> {
  <K extends EventName<E>>(name: K, ...args: undefined extends E ? unknown[] : [...EventArgs<PayloadOf<NonNullable<E>[K & keyof E]>>]): void;
}

type EventName<E extends Events> = undefined extends E ? string : keyof E & string;

const reliable: EventType<never> = Object.freeze({ kind: "event", unreliable: false });
const unreliable: EventType<never> = Object.freeze({ kind: "event", unreliable: true });

/**
 * Declares an event with a payload of type `T`: `event<number>()`. `event<void>()` has none, and a tuple such as
 * `event<[user: string, text: string]>()` lists several arguments. Once an actor type declares any event,
 * sending or subscribing to another is event.not_found [CONN-9].
 *
 * `event<[x: number, y: number]>({ unreliable: true })` is what is soon replaced: it is dropped rather than queued for a client that reads
 * slowly or is away, and over WebTransport it may be lost, doubled, or overtaken [CONN-11].
 */
export function event<T = unknown>(options: EventOptions = {}): EventType<T> {
  refuseUnknownKeys("event()", options, ["unreliable"]);
  const { unreliable: dropped = false } = options;
  if (typeof dropped !== "boolean") throw new TypeError(`event(): unreliable must be true or false, and is ${kindOf(dropped)}`);
  return dropped ? unreliable : reliable;
}
