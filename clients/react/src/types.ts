import type {
  ActorConn,
  ActorError,
  ActorHandle,
  ActorKey,
  ActorTypeOf,
  ActorsOf,
  AnyActorDefinition,
  AnyRegistry,
  ConnStatus,
  EventHandler,
  EventName,
  InputOf,
  ParamsOf,
  Transport,
} from "@stagedoor/client";

/** UseActorOptions is what a component says of its actor. Objects and lists may be made anew for each rendering: their contents count. */
export interface UseActorOptions<R extends AnyRegistry, Name extends ActorTypeOf<R>> {
  /** The actor type. */
  readonly name: Name;
  readonly key: ActorKey;
  /** Given to the actor's connection hooks. With other params a component gets another connection. */
  readonly params?: ParamsOf<ActorsOf<R>[Name]> | undefined;
  /** The input, if the connection creates the actor; that of the component that came first. A property that is there counts, also with undefined. */
  readonly createWithInput?: InputOf<ActorsOf<R>[Name]>;
  /** Where to create the actor; see GetOrCreateOptions of `@stagedoor/client`. */
  readonly createInRegion?: string | undefined;
  /** Connect only if the actor exists; otherwise `error` is actor.not_found. Default false. */
  readonly noCreate?: boolean | undefined;
  /** false: stay, or become, disconnected. Default true. */
  readonly enabled?: boolean | undefined;
}

/** UseActorResult is how things stand with a component's actor. It is the same object until something changes. */
export interface UseActorResult<D extends AnyActorDefinition> {
  /** For actions, once there is one: null on a server, in the first rendering, and while not enabled. Calls on it wait until it is open. */
  readonly connection: ActorConn<D> | null;
  /** For calls without connection; there when `connection` is. */
  readonly handle: ActorHandle<D> | null;
  /** What the connection is doing; `idle` also if there is none. */
  readonly connStatus: ConnStatus;
  /** connStatus is `connected`. */
  readonly isConnected: boolean;
  /** How the client reaches the gateway, or did last; undefined: it has not yet, or there is no connection. */
  readonly transport: Transport | undefined;
  /** What went wrong last, until the connection is open (again). */
  readonly error: ActorError | null;
  /** Equal for components that share a connection: of equal name, key, params and noCreate. */
  readonly hash: string;
  /**
   * A hook: has a function called for each event of this name while the component is mounted, always that of the last rendering.
   * Like every hook it is called in each rendering.
   */
  useEvent<Name extends EventName<D>>(this: void, event: Name, handler: EventHandler<D, Name>): void;
}

/** RivetKit is the hooks for the actors of a registry. */
export interface RivetKit<R extends AnyRegistry> {
  /**
   * A hook: connects to an actor while the component is mounted. Components that ask for the same share one connection, which
   * is closed when the last of them is gone.
   */
  useActor<Name extends ActorTypeOf<R>>(this: void, options: UseActorOptions<R, Name>): UseActorResult<ActorsOf<R>[Name]>;
}
