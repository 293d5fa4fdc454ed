// The client of a Stagedoor gateway, for browsers, Node, Deno and Bun. A client has one session with the gateway, over WebTransport
// or a WebSocket, which all its handles and connections share; it opens that when something needs it, and again when it was
// lost, and the session then goes on where it can [SESS-15]. It never repeats a call that may have run.

export { createClient } from "./client.ts";
export { ActorError } from "./error.ts";
export type { ErrorFields, Ran } from "./error.ts";
export type { ErrorCode } from "./gen/codes.ts";
export type {
  ActionMethods,
  ActionProxy,
  ActionRequest,
  ActorAccessor,
  ActorConn,
  ActorHandle,
  ActorKey,
  ActorTypeOf,
  ActorsOf,
  AnyActorDefinition,
  AnyRegistry,
  Client,
  ClientMethods,
  ConnMethods,
  ConnStatus,
  CreateOptions,
  EventArgs,
  EventHandler,
  EventName,
  EventsOf,
  GetOptions,
  GetOrCreateOptions,
  HandleMethods,
  InputOf,
  ParamsOf,
  ParamsOptions,
  Transport,
  Unsubscribe,
} from "./types.ts";
export type { ClientOptions, LogLevel } from "./options.ts";
