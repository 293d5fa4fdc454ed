import type { Target } from "./address.ts";
import { call, encodeFor } from "./call.ts";
import { makeConn } from "./conn.ts";
import type { Api } from "./http.ts";
import { withActions } from "./proxy.ts";
import type { Session } from "./session/session.ts";
import type { ActionRequest, ActorConn, ActorHandle, AnyActorDefinition, HandleMethods, ParamsOptions } from "./types.ts";

/** Context is what handles need of their client. */
export interface Context {
  readonly session: Session;
  readonly api: Api;
}

/** makeHandle makes a handle; it does nothing on the network. */
export function makeHandle<D extends AnyActorDefinition>(context: Context, target: Target, options: ParamsOptions<D>): ActorHandle<D> {
  const handle = new Handle<D>(context, target, options);
  const proxy = withActions(handle, (name, args) => handle.action({ name, args }));
  return proxy as unknown as ActorHandle<D>;
}

class Handle<D extends AnyActorDefinition> implements HandleMethods<D> {
  // Private names, and methods that are bound: a proxy has no private names.
  readonly #context: Context;
  readonly #target: Target;
  readonly #options: ParamsOptions<D>;

  constructor(context: Context, target: Target, options: ParamsOptions<D>) {
    this.#context = context;
    this.#target = target;
    this.#options = options;
  }

  readonly action = <Result = unknown>(request: ActionRequest): Promise<Result> =>
    call(this.#context.session, this.#target, undefined, request) as Promise<Result>;

  readonly connect = (...params: [params?: D["~types"]["connParams"]]): ActorConn<D> => {
    const { codec } = this.#context.session;
    const encoded = (value: unknown) => (value === undefined ? undefined : encodeFor(codec, value, "params"));
    const { getParams } = this.#options;
    const fixed = params[0] === undefined ? this.#options.params : params[0];
    const makeParams =
      params[0] === undefined && getParams !== undefined ? async () => encoded(await getParams()) : () => encoded(fixed);
    return makeConn<D>(this.#context.session, this.#target, makeParams);
  };

  readonly resolve = (options: { readonly signal?: AbortSignal | undefined } = {}): Promise<string> => {
    const method = this.#target.mode === "getOrCreate" ? "PUT" : "GET";
    return this.#context.api.identify(method, this.#target, options.signal);
  };
}
