import type { AnyRegistry, Client } from "@stagedoor/client";
import type { Events, SendEvent } from "./event.ts";
import type { Kv } from "./kv.ts";
import type { Logger } from "./log.ts";

/** What an actor's code may count on in every hook and action. */
export interface BaseContext {
  /** The actor's id, its own for ever [ADDR-4]. */
  readonly actorId: string;
  /** The name of the actor type. */
  readonly name: string;
  /** The key of the address: 0 to 16 parts. */
  readonly key: readonly string[];
  /** Where the actor runs; may be empty. */
  readonly region: string;
  /** Names the actor in each line. */
  readonly log: Logger;
  /** Aborted when the actor begins to stop. */
  readonly abortSignal: AbortSignal;
  readonly kv: Kv;
  /** A client on the runner's own endpoint. What the actor has changed is committed before a call leaves. */
  client<R extends AnyRegistry>(): Client<R>;
  /** Keeps the actor from sleeping until the promise has settled, and returns it. */
  keepAwake<T>(promise: Promise<T>): Promise<T>;
  /** Lets a stop of the actor wait for the promise, within its grace, but does not keep it awake; a rejection is logged. */
  waitUntil(promise: Promise<unknown>): void;
}

/** What `createState` gets: the actor has no state yet. */
export type CreateStateContext = BaseContext;

/** What `onCreate` and `createVars` get: the state, but no vars yet. */
export interface CreateContext<TState = unknown> extends BaseContext {
  /** Changes are tracked; what cannot be stored is a TypeError at once. */
  state: TState;
}

/** What `createVars` gets. */
export type CreateVarsContext<TState = unknown> = CreateContext<TState>;

/** A whole actor: what its hooks and `run` get, and the base of ActionContext. */
export interface ActorContext<
  TState = unknown,
  TConnParams = unknown,
  TConnState = unknown,
  TVars = unknown,
  TEvents extends Events = undefined,
> extends CreateContext<TState> {
  /** In memory only. */
  vars: TVars;
  /** The accepted connections by id. */
  readonly conns: ReadonlyMap<string, Conn<TConnParams, TConnState, TEvents>>;
  /** Sends an event to the connections that are subscribed to it [CONN-3]. */
  readonly broadcast: SendEvent<TEvents>;
  /**
   * Broadcasts what is soon replaced, such as a position: it is dropped rather than queued for a client that reads slowly or is away, and
   * over WebTransport it may be lost, doubled, or overtaken [CONN-11]. Name and encoded arguments have at most 1,000 bytes together.
   */
  readonly broadcastUnreliable: SendEvent<TEvents>;
  /** Sends what was changed so far and, with `immediate`, waits until it is durable [FLUSH-1]. */
  saveState(options?: SaveStateOptions): Promise<void>;
  /** Asks to sleep; ignored while calls are outstanding [SLEEP-3]. */
  sleep(): void;
  /** Destroys the actor with its state and its key, behind the running turn [LIFE-6]. */
  destroy(): void;
}

/** How `saveState` saves. Every change is saved before its answer leaves; this is for work that nobody waits for. */
export interface SaveStateOptions {
  /** Wait until everything changed so far is durable. Default: false. */
  readonly immediate?: boolean;
}

/** What an action gets. */
export interface ActionContext<
  TState = unknown,
  TConnParams = unknown,
  TConnState = unknown,
  TVars = unknown,
  TEvents extends Events = undefined,
> extends ActorContext<TState, TConnParams, TConnState, TVars, TEvents> {
  /** The connection on which the call came; undefined for a call without one. */
  readonly conn: Conn<TConnParams, TConnState, TEvents> | undefined;
}

/** What `onBeforeConnect`, `createConnState` and `onConnect` get. */
export interface ConnContext<
  TState = unknown,
  TConnParams = unknown,
  TConnState = unknown,
  TVars = unknown,
  TEvents extends Events = undefined,
> extends ActorContext<TState, TConnParams, TConnState, TVars, TEvents> {
  readonly request: ConnectionRequest;
}

/** How a connection came. The gateway passes no headers on, so `headers` is empty: who connects is told by its params. */
export interface ConnectionRequest {
  /** The address as a URL: `http://actor/` and the segment of [ADDR-3]. */
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  /** What carries the connection, as the gateway names it. */
  readonly transport: string;
}

/** A connection, as the actor sees it. It outlives the actor's sleep. */
export interface Conn<TParams = unknown, TState = unknown, TEvents extends Events = undefined> {
  readonly id: string;
  readonly params: TParams;
  /** Tracked like the actor's state; kept while the actor sleeps. */
  state: TState;
  /** Sends an event to this connection, subscribed or not [CONN-3]. */
  readonly send: SendEvent<TEvents>;
  /** Sends an event that may be dropped: see `broadcastUnreliable`. */
  readonly sendUnreliable: SendEvent<TEvents>;
  /** Closes the connection; the client does not come back by itself [CONN-4]. The reason is the error's message. */
  disconnect(reason?: string): Promise<void>;
}

/**
 * An action: the context and the caller's arguments; what it returns, or its promise is fulfilled with, is the output. The
 * arguments are the user's own: with `never` every parameter list fits, and one without type annotation is of no use.
 */
export type Action<C> = (c: C, ...args: never[]) => unknown;

/** Actions by name; a group `{ users: { add } }` is called `users.add`. */
export interface Actions<C> {
  readonly [name: string]: Action<C> | Actions<C>;
}
