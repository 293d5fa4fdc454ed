import { messageOf, raise } from "../error.ts";
import type { ActorError } from "../error.ts";
import type { ConnStatus, Transport, Unsubscribe } from "../types.ts";
import { decode } from "../values/index.ts";

type Handler = (...args: unknown[]) => void;

/** Listener is one registration of an event's handler. */
interface Listener {
  readonly handler: Handler;
  readonly once: boolean;
}

/**
 * Inbox calls the application's functions of one connection, each from a microtask of its own: in the order in which what they
 * tell of arrived, also against the results of calls [SESS-3], and never from within the session. What a function throws is
 * reported as an uncaught error, and harms nobody else.
 */
export class Inbox {
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly onErrors = new Set<(error: ActorError) => void>();
  private readonly onOpens = new Set<() => void>();
  private readonly onCloses = new Set<(reason: ActorError | undefined) => void>();
  private readonly onStatuses = new Set<(status: ConnStatus) => void>();
  private readonly onTransports = new Set<(transport: Transport) => void>();
  /** No event is delivered any more. */
  private muted = false;
  private over: { readonly reason: ActorError | undefined } | undefined;

  /** add registers a handler; first tells whether it is the event's first. */
  add(event: string, handler: Handler, once: boolean): { readonly listener: Listener; readonly first: boolean } {
    const listener = { handler, once };
    const list = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, list.add(listener));
    return { listener, first: list.size === 1 };
  }

  /** remove takes a listener off, and tells whether it was there, and the event's last. */
  remove(event: string, listener: Listener): boolean {
    const list = this.listeners.get(event);
    if (list?.delete(listener) !== true || list.size > 0) return false;
    this.listeners.delete(event);
    return true;
  }

  /** event delivers an event. off is called for a listener that has had its only one. */
  event(name: string, args: Uint8Array | undefined, off: (listener: Listener) => void): void {
    if (!this.listeners.has(name)) return;
    queueMicrotask(() => {
      const list = this.muted ? undefined : this.listeners.get(name);
      if (list === undefined) return;
      const values = this.argsOf(name, args);
      if (values === undefined) return;
      for (const listener of [...list]) {
        if (!list.has(listener)) continue; // one before it took it off
        if (listener.once) off(listener);
        guard(() => listener.handler(...values));
      }
    });
  }

  private argsOf(name: string, args: Uint8Array | undefined): unknown[] | undefined {
    try {
      const values = args === undefined ? [] : decode(args);
      if (Array.isArray(values)) return values as unknown[];
      this.tellError(raise("client.invalid_response", `The body of the event ${name} is no array.`, { ran: "" }));
    } catch (cause) {
      this.tellError(raise("client.invalid_response", `The event ${name} cannot be decoded: ${messageOf(cause)}`, { ran: "", cause }));
    }
    return undefined;
  }

  /** mute drops the events that were not delivered, and all to come. */
  mute(): void {
    this.muted = true;
  }

  tellError(error: ActorError): void {
    this.post(this.onErrors, (handler) => handler(error));
  }

  tellOpen(): void {
    this.post(this.onOpens, (handler) => handler());
  }

  tellStatus(status: ConnStatus): void {
    this.post(this.onStatuses, (handler) => handler(status));
  }

  tellTransport(transport: Transport): void {
    this.post(this.onTransports, (handler) => handler(transport));
  }

  /** tellClose is the last that is told. */
  tellClose(reason: ActorError | undefined): void {
    this.over = { reason };
    this.post(this.onCloses, (handler) => handler(reason));
  }

  onError(handler: (error: ActorError) => void): Unsubscribe {
    return enlist(this.onErrors, handler);
  }

  onOpen(handler: () => void): Unsubscribe {
    return enlist(this.onOpens, handler);
  }

  onStatus(handler: (status: ConnStatus) => void): Unsubscribe {
    return enlist(this.onStatuses, handler);
  }

  onTransport(handler: (transport: Transport) => void): Unsubscribe {
    return enlist(this.onTransports, handler);
  }

  /** onClose tells a late handler, too. */
  onClose(handler: (reason: ActorError | undefined) => void): Unsubscribe {
    const off = enlist(this.onCloses, handler);
    const { over } = this;
    if (over === undefined) return off;
    let on = true;
    queueMicrotask(() => {
      if (on) guard(() => handler(over.reason));
    });
    return () => {
      on = false;
      off();
    };
  }

  private post<T>(handlers: Set<T>, call: (handler: T) => void): void {
    const registered = [...handlers];
    queueMicrotask(() => {
      for (const handler of registered) {
        if (handlers.has(handler)) guard(() => call(handler));
      }
    });
  }
}

/** enlist adds a function once more, also if it is there already: each registration ends on its own. */
function enlist<Args extends unknown[]>(list: Set<(...args: Args) => void>, handler: (...args: Args) => void): Unsubscribe {
  const entry = (...args: Args) => handler(...args);
  list.add(entry);
  return () => {
    list.delete(entry);
  };
}

/** guard reports what a function of the application throws where nobody waits for it. */
function guard(call: () => void): void {
  try {
    call();
  } catch (error) {
    const { reportError } = globalThis as { reportError?: (error: unknown) => void };
    if (reportError) reportError(error);
    else console.error("Uncaught in a handler of a Stagedoor connection:", error);
  }
}
