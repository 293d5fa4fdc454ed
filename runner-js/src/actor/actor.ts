import type { ActorConfig, ActorDefinition } from "./config.ts";
import { checkDefinition } from "./check.ts";
import type { Events } from "./event.ts";

/**
 * Defines an actor type: its state, actions, events, hooks and options. It is checked at once; what is wrong is a TypeError
 * that says what to write. `setup({ use })` gives it its name.
 *
 * Hooks and actions are inferred from what stands before them: write the creators first.
 */
export function actor<
  TState,
  TConnParams,
  TConnState,
  TEarlyParams,
  TEarlyConn,
  TVars,
  TInput,
  TEvents extends Events,
  // No parameter has a default, and none a constraint made of others: TypeScript would take it before it looks at the creators.
  TActions,
>(
  config: ActorConfig<TState, TConnParams, TConnState, TEarlyParams, TEarlyConn, TVars, TInput, TEvents, TActions>,
): ActorDefinition<TState, TConnParams, TConnState, TVars, TInput, TEvents, TActions> {
  return checkDefinition(config) as ActorDefinition<TState, TConnParams, TConnState, TVars, TInput, TEvents, TActions>;
}
