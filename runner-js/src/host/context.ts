import type { Logger } from "../actor/log.ts";
import type { ActorContext, ConnectionRequest, SaveStateOptions } from "../actor/types.ts";
import type { Kv } from "../actor/kv.ts";
import type { ConnectionOpen } from "../wire/messages.ts";
import type { CallTurn } from "./call.ts";
import type { Conn } from "./connection.ts";
import { emit } from "./emit.ts";
import type { Incarnation } from "./incarnation.ts";

/** HostContext is what user code gets as `c`. Its types for the user are in actor/types.ts. */
export class HostContext implements Omit<ActorContext<unknown, unknown, unknown, unknown>, "client"> {
  readonly #actor: Incarnation;

  constructor(actor: Incarnation) {
    this.#actor = actor;
  }

  get actorId(): string {
    return this.#actor.id;
  }

  get name(): string {
    return this.#actor.name;
  }

  get key(): readonly string[] {
    return this.#actor.key;
  }

  get region(): string {
    return this.#actor.region;
  }

  get log(): Logger {
    return this.#actor.log;
  }

  get abortSignal(): AbortSignal {
    return this.#actor.signal;
  }

  get kv(): Kv {
    return this.#actor.kv;
  }

  get state(): unknown {
    return this.#actor.data.state;
  }

  set state(value: unknown) {
    this.#actor.data.state = value;
  }

  get vars(): unknown {
    return this.#actor.data.vars;
  }

  set vars(value: unknown) {
    this.#actor.data.vars = value;
  }

  get conns(): ReadonlyMap<string, Conn> {
    return this.#actor.conns.visible;
  }

  broadcast(name: string, ...args: unknown[]): void {
    emit(this.#actor, name, args);
  }

  broadcastUnreliable(name: string, ...args: unknown[]): void {
    emit(this.#actor, name, args, { unreliable: true });
  }

  client(): unknown {
    return this.#actor.client;
  }

  saveState(options: SaveStateOptions = {}): Promise<void> {
    const saved = this.#actor.save();
    return (options.immediate === true ? saved : undefined) ?? Promise.resolve();
  }

  keepAwake<T>(promise: Promise<T>): Promise<T> {
    return this.#actor.rest.keepAwake(promise);
  }

  waitUntil(promise: Promise<unknown>): void {
    this.#actor.rest.waitUntil(promise);
  }

  sleep(): void {
    this.#actor.rest.want();
  }

  destroy(): void {
    this.#actor.destroy();
  }
}

/** ActionContext is that of one call. */
export class ActionContext extends HostContext {
  readonly #turn: CallTurn;

  constructor(actor: Incarnation, turn: CallTurn) {
    super(actor);
    this.#turn = turn;
  }

  get conn(): Conn | undefined {
    return this.#turn.conn?.outer;
  }

  override get abortSignal(): AbortSignal {
    return this.#turn.signal;
  }
}

/** ConnContext is that of the hooks of one open. */
export class ConnContext extends HostContext {
  readonly #open: ConnectionOpen;
  readonly #url: () => string;
  #request: ConnectionRequest | undefined;

  constructor(actor: Incarnation, open: ConnectionOpen) {
    super(actor);
    this.#open = open;
    this.#url = () => `http://actor/${segment(actor.name, actor.key)}`;
  }

  get request(): ConnectionRequest {
    this.#request ??= { url: this.#url(), method: "GET", headers: new Headers(), transport: this.#open.transport };
    return this.#request;
  }
}

/** segment is an address as one segment of a URL [ADDR-3]. */
function segment(type: string, key: readonly string[]): string {
  return [type, ...key].map(escape).join(":");
}

function escape(text: string): string {
  const escaped = encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return /^\.+$/.test(text) ? text.replaceAll(".", "%2E") : escaped;
}
