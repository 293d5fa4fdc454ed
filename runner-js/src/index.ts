export { actor } from "./actor/actor.ts";
export type { ActorConfig, ActorDefinition } from "./actor/config.ts";
export { event } from "./actor/event.ts";
export type { EventOptions, EventType, Events } from "./actor/event.ts";
export type { Definition } from "./actor/definition.ts";
export type {
  ActionContextOf,
  ActorContextOf,
  AnyActor,
  ConnContextOf,
  ConnOf,
  CreateContextOf,
  CreateVarsContextOf,
  StateOf,
} from "./actor/helpers.ts";
export type { Kv, KvForms, KvGetOptions, KvKey, KvListOptions, KvValue } from "./actor/kv.ts";
export type { Logger, LogLevel, LogMethod } from "./actor/log.ts";
export type { ActorOptions, Durability } from "./actor/options.ts";
export type {
  ActionContext,
  Actions,
  ActorContext,
  BaseContext,
  Conn,
  ConnContext,
  ConnectionRequest,
  CreateContext,
  CreateStateContext,
  CreateVarsContext,
  SaveStateOptions,
} from "./actor/types.ts";
export { ActorError, UserError } from "./error.ts";
export type { UserErrorOptions } from "./error.ts";
export type { RegistryOptions } from "./registry/config.ts";
export type { FetchHandler, Listening, ListenOptions } from "./registry/listen.ts";
export { toNextHandler, toNodeHandler } from "./registry/mounts.ts";
export type { NextHandler, NodeHandler } from "./registry/mounts.ts";
export type { Registry, ServeExport, Use } from "./registry/registry.ts";
export { setup } from "./registry/setup.ts";
export type { SetupOptions } from "./registry/setup.ts";
export type { ActorConn, ActorHandle, Client } from "@stagedoor/client";
