import type { Events, EventPayloads } from "./event.ts";
import type { ActorOptions } from "./options.ts";
import type { Definition } from "./definition.ts";
import type {
  ActionContext,
  Actions,
  ActorContext,
  Conn,
  ConnContext,
  CreateContext,
  CreateStateContext,
  CreateVarsContext,
} from "./types.ts";

// TypeScript settles a type parameter as soon as a parameter without annotation needs it. Hooks that stand before
// `createConnState` would so settle the connections' params and state too early. They have parameters of their own for
// them, TEarlyParams and TEarlyConn: the same types where they are known by then, else unknown.

/** What `actor()` takes. Of state and createState, vars and createVars, connState and createConnState only one is given. */
export type ActorConfig<
  TState,
  TConnParams,
  TConnState,
  TEarlyParams,
  TEarlyConn,
  TVars,
  TInput,
  TEvents extends Events,
  TActions,
> = StateConfig<TState, TInput> &
  VarsConfig<TState, TVars> &
  ConnStateConfig<TState, TVars, TConnParams, TConnState, TEarlyParams, TEarlyConn, TEvents> &
  Hooks<TState, TConnParams, TConnState, TEarlyParams, TEarlyConn, TVars, TInput, TEvents> & {
    /** What clients and other actors call: functions, also in groups, which are called by dotted names. */
    readonly actions: TActions & Actions<ActionContext<TState, TConnParams, TConnState, TVars, TEvents>>;
    /** Declared events: `{ count: event<number>() }`. Without: every event may be sent. */
    readonly events?: TEvents;
    readonly options?: ActorOptions;
  };

type StateConfig<TState, TInput> =
  | { readonly state: TState; readonly createState?: never }
  | { readonly createState: (c: CreateStateContext, input: TInput) => TState | Promise<TState>; readonly state?: never }
  | { readonly state?: never; readonly createState?: never };

type VarsConfig<TState, TVars> =
  | { readonly vars: TVars; readonly createVars?: never }
  | { readonly createVars: (c: CreateVarsContext<TState>) => TVars | Promise<TVars>; readonly vars?: never }
  | { readonly vars?: never; readonly createVars?: never };

type ConnStateConfig<TState, TVars, TConnParams, TConnState, TEarlyParams, TEarlyConn, TEvents extends Events> =
  | { readonly connState: TConnState | TEarlyConn; readonly createConnState?: never }
  | {
      // A method, so that params with a type fit also where TEarlyParams was settled as unknown.
      createConnState(
        c: ConnContext<TState, unknown, unknown, TVars, TEvents>,
        params: TConnParams | TEarlyParams,
      ): TConnState | TEarlyConn | Promise<TConnState> | Promise<TEarlyConn>;
      readonly connState?: never;
    }
  | { readonly connState?: never; readonly createConnState?: never };

interface Hooks<TState, TConnParams, TConnState, TEarlyParams, TEarlyConn, TVars, TInput, TEvents extends Events> {
  /** Once, when the actor is created, behind createState. */
  readonly onCreate?: (c: CreateContext<TState>, input: TInput) => void | Promise<void>;
  /** At each start, before any call. */
  readonly onWake?: (c: ActorContext<TState, TEarlyParams, TEarlyConn, TVars, TEvents>) => void | Promise<void>;
  /** Before the actor leaves memory; not after a crash. */
  readonly onSleep?: (c: ActorContext<TState, TEarlyParams, TEarlyConn, TVars, TEvents>) => void | Promise<void>;
  /** Before the actor is destroyed. */
  readonly onDestroy?: (c: ActorContext<TState, TEarlyParams, TEarlyConn, TVars, TEvents>) => void | Promise<void>;
  /** After changes of the state, before they are saved. It may not change the state, and is not waited for. */
  readonly onStateChange?: (c: ActorContext<TState, TEarlyParams, TEarlyConn, TVars, TEvents>, state: TState) => void;
  /** Decides whether a client may connect: an error refuses it. */
  onBeforeConnect?(
    c: ConnContext<TState, unknown, TEarlyConn, TVars, TEvents>,
    params: TConnParams | TEarlyParams,
  ): void | Promise<void>;
  /** The connection is accepted; an error closes it. */
  readonly onConnect?: (
    c: ConnContext<TState, TConnParams, TConnState, TVars, TEvents>,
    conn: Conn<TConnParams, TConnState, TEvents>,
  ) => void | Promise<void>;
  /** The connection is gone; once for each that was accepted [CONN-4]. */
  readonly onDisconnect?: (
    c: ActorContext<TState, TConnParams, TConnState, TVars, TEvents>,
    conn: Conn<TConnParams, TConnState, TEvents>,
  ) => void | Promise<void>;
  /** May replace what an action answers. */
  readonly onBeforeActionResponse?: <Out>(
    c: ActorContext<TState, TEarlyParams, TEarlyConn, TVars, TEvents>,
    name: string,
    args: unknown[],
    output: Out,
  ) => Out | Promise<Out>;
  /** Runs beside the calls from each start on, until `c.abortSignal`. While it runs the actor does not sleep by itself. */
  readonly run?: Run<ActorContext<TState, TEarlyParams, TEarlyConn, TVars, TEvents>>;
}

/** The function that runs beside the calls, or that with a name and an icon for display. */
export type Run<C> = RunFunction<C> | { readonly name?: string; readonly icon?: string; readonly run: RunFunction<C> };

type RunFunction<C> = (c: C) => void | Promise<void>;

/** What clients and helper types read off a definition. */
export interface ActorTypes<TState, TConnParams, TConnState, TVars, TInput, TEvents extends Events, TActions> {
  readonly state: TState;
  readonly vars: TVars;
  readonly connParams: TConnParams;
  readonly connState: TConnState;
  readonly input: TInput;
  readonly declared: TEvents;
  readonly events: EventPayloads<TEvents>;
  readonly actions: TActions;
}

/** What `actor()` returns. `~types` exists in types only. */
export interface ActorDefinition<
  TState = unknown,
  TConnParams = unknown,
  TConnState = unknown,
  TVars = unknown,
  TInput = unknown,
  TEvents extends Events = undefined,
  TActions = object,
> extends Definition {
  readonly "~types": ActorTypes<TState, TConnParams, TConnState, TVars, TInput, TEvents, TActions>;
}
