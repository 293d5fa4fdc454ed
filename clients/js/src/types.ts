// The types by which a client knows the actors of a registry: their actions, input, params and events. Nothing here exists at
// run time. `typeof registry` is taken apart structurally, so the client needs nothing of the runner package.

import type { ActorError } from "./error.ts";

/** AnyActorDefinition is what `actor({…})` returns, as far as a client is concerned. */
export interface AnyActorDefinition {
  /** Never there at run time. */
  readonly "~types": {
    /** As the application wrote them: functions `(c, ...args)`, and groups of them. */
    readonly actions: object;
    readonly input: unknown;
    readonly connParams: unknown;
    /** Payload by name of event, see EventArgs; undefined: the actor declares none. */
    readonly events: object | undefined;
  };
}

/** AnyRegistry is what `setup({use})` returns, as far as a client is concerned. */
export interface AnyRegistry {
  readonly config: { readonly use: Readonly<Record<string, AnyActorDefinition>> };
}

/** ActorsOf is the definitions of a registry by actor type. */
export type ActorsOf<R extends AnyRegistry> = R["config"]["use"];

/** ActorTypeOf is the names of the actor types of a registry. */
export type ActorTypeOf<R extends AnyRegistry> = keyof ActorsOf<R> & string;

/** InputOf is what an actor is created with. */
export type InputOf<D extends AnyActorDefinition> = D["~types"]["input"];

/** ParamsOf is what a connection is opened with. */
export type ParamsOf<D extends AnyActorDefinition> = D["~types"]["connParams"];

/** EventsOf is the declared events of an actor, or undefined. */
export type EventsOf<D extends AnyActorDefinition> = D["~types"]["events"];

type ActionsOf<D extends AnyActorDefinition> = D["~types"]["actions"];

type AnyAction = (...args: never[]) => unknown;

type ActionCall<F> = F extends (c: infer _Context, ...args: infer Args) => infer Result ? (...args: Args) => Promise<Awaited<Result>> : never;

/** Unserved is the names that are never actions of a handle or connection: await, JSON and JavaScript itself ask for them. */
export type Unserved =
  | "then"
  | "toJSON"
  | "constructor"
  | "toString"
  | "toLocaleString"
  | "valueOf"
  | "hasOwnProperty"
  | "isPrototypeOf"
  | "propertyIsEnumerable";

/** ActionProxy is the actions of an actor as methods, without their context, but for the names Own; each returns a promise. */
export type ActionProxy<Actions, Own = never> = {
  readonly [Name in keyof Actions as Exclude<Name, Own | Unserved>]: Actions[Name] extends AnyAction
    ? ActionCall<Actions[Name]>
    : Actions[Name] extends object
      ? ActionProxy<Actions[Name]>
      : never;
};

/** ActionMethods is the actions of an actor as methods of its handles and connections; any, if no types are known. */
export type ActionMethods<D extends AnyActorDefinition, Own = never> =
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- callable, and a group of such, whatever its name
  IsExactlyObject<ActionsOf<D>> extends true ? Readonly<Record<string, any>> : ActionProxy<ActionsOf<D>, Own>;

/** `object` itself says nothing about actions; `{}` says that there are none. */
type IsExactlyObject<T> = (<X>() => X extends T ? 1 : 2) extends <X>() => X extends object ? 1 : 2 ? true : false;

/** EventArgs is what a handler gets for a payload type: a tuple is the arguments, anything else the only one, nothing none. */
export type EventArgs<Payload> = 0 extends 1 & Payload
  ? [payload: Payload] // any
  : [Payload] extends [undefined | void]
    ? []
    : [Payload] extends [readonly unknown[]]
      ? number extends Payload["length"]
        ? [payload: Payload]
        : Payload
      : [payload: Payload];

/** EventName is the names of an actor's events: any text if it declares none. */
export type EventName<D extends AnyActorDefinition> = EventsOf<D> extends infer E
  ? E extends object
    ? keyof E & string
    : string
  : never;

/** EventHandler is a function for an event of an actor. */
export type EventHandler<D extends AnyActorDefinition, Name extends string> = EventsOf<D> extends infer E
  ? E extends object
    ? Name extends keyof E
      ? (...args: [...EventArgs<E[Name]>]) => void
      : never
    : // eslint-disable-next-line @typescript-eslint/no-explicit-any -- handlers say themselves what they take
      (...args: any[]) => void
  : never;

/** ActorKey is an actor's key: a list of texts; a text alone is a list of one, none is `[]` [ADDR-1]. */
export type ActorKey = string | readonly string[];

/** ActionRequest is a call in the general form, which reaches actions of every name. */
export interface ActionRequest {
  /** An action of a group is called `group.action`. */
  readonly name: string;
  /** Default none. */
  readonly args?: readonly unknown[] | undefined;
  /** Gives the call up, and tells the actor: the promise is rejected with action.canceled at once [CALL-5]. */
  readonly signal?: AbortSignal | undefined;
  /** How long the call may take in all, in milliseconds. Default: the gateway's, 60 s [CALL-4]. */
  readonly timeoutMs?: number | undefined;
}

/** ParamsOptions is what the connections of a handle are opened with. */
export interface ParamsOptions<D extends AnyActorDefinition> {
  /** Given to the actor's connection hooks. */
  readonly params?: ParamsOf<D> | undefined;
  /** Makes the params anew for each opening of a connection; when it fails, the opening is tried again later. Stronger than params. */
  readonly getParams?: (() => ParamsOf<D> | Promise<ParamsOf<D>>) | undefined;
}

/** GetOptions of `get` and `getForId`. */
export type GetOptions<D extends AnyActorDefinition> = ParamsOptions<D>;

/** GetOrCreateOptions of `getOrCreate`. */
export interface GetOrCreateOptions<D extends AnyActorDefinition> extends ParamsOptions<D> {
  /** The input, if the first use creates the actor. Anything but undefined is one, also null [PAY-3]. */
  readonly createWithInput?: InputOf<D> | undefined;
  /** Not supported yet: the use of a handle with a region fails with request.unsupported. */
  readonly createInRegion?: string | undefined;
}

/** CreateOptions of `create`. */
export interface CreateOptions<D extends AnyActorDefinition> extends ParamsOptions<D> {
  /** The actor's input. Anything but undefined is one, also null [PAY-3]. */
  readonly input?: InputOf<D> | undefined;
  /** Not supported yet: request.unsupported. */
  readonly region?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** HandleMethods is what a handle has besides the actor's actions. */
export interface HandleMethods<D extends AnyActorDefinition> {
  /** action calls an action by its name. Its types are not checked. */
  action<Result = unknown>(request: ActionRequest): Promise<Result>;
  /** connect attaches to the actor, in the background. The params are stronger than those of the handle. */
  connect(params?: ParamsOf<D>): ActorConn<D>;
  /** resolve is the actor's id; a handle of getOrCreate creates the actor. */
  resolve(options?: { readonly signal?: AbortSignal | undefined }): Promise<string>;
}

/**
 * ActorHandle names an actor. Making one does nothing on the network; its methods are the actor's actions, each an independent
 * call without connection, and those of HandleMethods, which hide actions of the same name: action({name}) reaches these.
 */
export type ActorHandle<D extends AnyActorDefinition> = HandleMethods<D> & ActionMethods<D, keyof HandleMethods<D>>;

/**
 * ConnStatus is what a connection is doing.
 * - `connecting`: it was never open.
 * - `connected`: the actor has accepted it.
 * - `disconnected`: it was open and comes back by itself.
 * - `idle`: it is over for good.
 */
export type ConnStatus = "connecting" | "connected" | "disconnected" | "idle";

/**
 * Transport is how a client reaches its gateway.
 * - `webtransport`: HTTP/3; each connection has a stream of its own, and unreliable events go as datagrams.
 * - `websocket`: one stream for all.
 * - `sse`: HTTP requests, with server-sent events for connections.
 */
export type Transport = "webtransport" | "websocket" | "sse";

/** Unsubscribe takes back what a subscribing method did; more than once does nothing. */
export type Unsubscribe = () => void;

/** ConnMethods is what a connection has besides the actor's actions. */
export interface ConnMethods<D extends AnyActorDefinition> {
  readonly connStatus: ConnStatus;
  /** connStatus is `connected`. */
  readonly isConnected: boolean;
  /** How the client reaches the gateway, or did last; undefined: it has not yet. */
  readonly transport: Transport | undefined;
  /** action calls an action by its name, over the connection. Its types are not checked. */
  action<Result = unknown>(request: ActionRequest): Promise<Result>;
  /**
   * on has a function called with the arguments of each event of the name, and subscribes to it. What a function throws is
   * reported as an uncaught error, and harms no other: so with all functions below.
   */
  on<Name extends EventName<D>>(event: Name, handler: EventHandler<D, Name>): Unsubscribe;
  /** once is on for the next event only. */
  once<Name extends EventName<D>>(event: Name, handler: EventHandler<D, Name>): Unsubscribe;
  /** onError tells what went wrong without ending the connection, or what ended it. */
  onError(handler: (error: ActorError) => void): Unsubscribe;
  /** onOpen tells that the actor accepted the connection: once, and again when it had to be opened anew, whereby events may be missing. */
  onOpen(handler: () => void): Unsubscribe;
  /** onClose tells that the connection is over for good: with the reason, or undefined after dispose. */
  onClose(handler: (reason: ActorError | undefined) => void): Unsubscribe;
  onStatusChange(handler: (status: ConnStatus) => void): Unsubscribe;
  /** onTransportChange tells by which transport the client has reached the gateway, each time that it is another one. */
  onTransportChange(handler: (transport: Transport) => void): Unsubscribe;
  /** dispose leaves the actor. Calls under way fail with connection.closed. */
  dispose(): Promise<void>;
}

/**
 * ActorConn attaches a client to an actor; see ConnMethods. It survives the loss of the socket. Actions called on it reach the
 * actor in order; those of names that ConnMethods has are reached by action({name}).
 */
export type ActorConn<D extends AnyActorDefinition> = ConnMethods<D> & ActionMethods<D, keyof ConnMethods<D>>;

/** ActorAccessor makes handles of one actor type. */
export interface ActorAccessor<D extends AnyActorDefinition> {
  /** get is a handle for an existing actor; its use fails with actor.not_found if there is none. */
  get(key?: ActorKey, options?: GetOptions<D>): ActorHandle<D>;
  /** getOrCreate is a handle for an actor that its first use creates if there is none. */
  getOrCreate(key?: ActorKey, options?: GetOrCreateOptions<D>): ActorHandle<D>;
  /** create creates an actor now and is a handle for its id; actor.duplicate_key if there is one of this key. */
  create(key?: ActorKey, options?: CreateOptions<D>): Promise<ActorHandle<D>>;
  /** getForId is a handle for the actor of this id. */
  getForId(id: string, options?: GetOptions<D>): ActorHandle<D>;
}

/** ClientMethods is what a client has besides the actor types: the same for actor types of every name, and its end. */
export interface ClientMethods<R extends AnyRegistry> {
  get<T extends ActorTypeOf<R>>(type: T, key?: ActorKey, options?: GetOptions<ActorsOf<R>[T]>): ActorHandle<ActorsOf<R>[T]>;
  getOrCreate<T extends ActorTypeOf<R>>(type: T, key?: ActorKey, options?: GetOrCreateOptions<ActorsOf<R>[T]>): ActorHandle<ActorsOf<R>[T]>;
  create<T extends ActorTypeOf<R>>(type: T, key?: ActorKey, options?: CreateOptions<ActorsOf<R>[T]>): Promise<ActorHandle<ActorsOf<R>[T]>>;
  getForId<T extends ActorTypeOf<R>>(type: T, id: string, options?: GetOptions<ActorsOf<R>[T]>): ActorHandle<ActorsOf<R>[T]>;
  /** How the client reaches the gateway, or did last; undefined: it has not yet. */
  readonly transport: Transport | undefined;
  /** dispose ends the session and all connections; what is under way fails with client.closed. */
  dispose(): Promise<void>;
}

/** Client is a client of one gateway: an accessor for each actor type, and ClientMethods. */
export type Client<R extends AnyRegistry> = ClientMethods<R> & {
  readonly [T in Exclude<ActorTypeOf<R>, keyof ClientMethods<R> | Unserved>]: ActorAccessor<ActorsOf<R>[T]>;
};
