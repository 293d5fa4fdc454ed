import type { ActorTypes } from "./config.ts";
import type { Events } from "./event.ts";
import type { ActionContext, ActorContext, Conn, ConnContext, CreateContext, CreateVarsContext } from "./types.ts";

/** Any definition, as helper types take it: `typeof counter`. */
export interface AnyActor {
  readonly "~types": Omit<ActorTypes<unknown, unknown, unknown, unknown, unknown, Events, object>, "events"> & {
    readonly events: object | undefined;
  };
}

type Of<A extends AnyActor> = A["~types"];

/** What the actions of a definition get: for functions outside of `actor({...})`. */
export type ActionContextOf<A extends AnyActor> = ActionContext<
  Of<A>["state"],
  Of<A>["connParams"],
  Of<A>["connState"],
  Of<A>["vars"],
  Of<A>["declared"]
>;

/** What `onWake`, `onSleep`, `onDestroy`, `onStateChange`, `onDisconnect` and `run` of a definition get. */
export type ActorContextOf<A extends AnyActor> = ActorContext<
  Of<A>["state"],
  Of<A>["connParams"],
  Of<A>["connState"],
  Of<A>["vars"],
  Of<A>["declared"]
>;

/** What `onConnect` of a definition gets. */
export type ConnContextOf<A extends AnyActor> = ConnContext<
  Of<A>["state"],
  Of<A>["connParams"],
  Of<A>["connState"],
  Of<A>["vars"],
  Of<A>["declared"]
>;

/** What `onCreate` of a definition gets. */
export type CreateContextOf<A extends AnyActor> = CreateContext<Of<A>["state"]>;

/** What `createVars` of a definition gets. */
export type CreateVarsContextOf<A extends AnyActor> = CreateVarsContext<Of<A>["state"]>;

/** A connection of a definition. */
export type ConnOf<A extends AnyActor> = Conn<Of<A>["connParams"], Of<A>["connState"], Of<A>["declared"]>;

/** The state of a definition. */
export type StateOf<A extends AnyActor> = Of<A>["state"];
