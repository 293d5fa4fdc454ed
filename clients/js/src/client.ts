import { byAddress, byId } from "./address.ts";
import type { Target } from "./address.ts";
import { encodeFor } from "./call.ts";
import { EndpointSource } from "./endpoint.ts";
import { messageOf, raise } from "./error.ts";
import { makeHandle } from "./handle.ts";
import type { Context } from "./handle.ts";
import { Api } from "./http.ts";
import { settingsOf } from "./options.ts";
import type { ClientOptions } from "./options.ts";
import { withMembers } from "./proxy.ts";
import { Supervisor } from "./session/supervisor.ts";
import type {
  ActorAccessor,
  ActorHandle,
  ActorKey,
  AnyActorDefinition,
  AnyRegistry,
  Client,
  CreateOptions,
  GetOptions,
  GetOrCreateOptions,
  Transport,
} from "./types.ts";

/**
 * createClient makes a client of one gateway: `createClient<typeof registry>(endpoint?, options?)` or `(options)`. It does
 * nothing on the network: the first use does, and a gateway that is not there shows then. It throws request.invalid for an
 * endpoint or an option that cannot be used. See ClientOptions.
 */
export function createClient<R extends AnyRegistry = AnyRegistry>(
  endpoint?: ClientOptions["endpoint"] | ClientOptions,
  options: ClientOptions = {},
): Client<R> {
  const all: ClientOptions = typeof endpoint === "object" ? { ...endpoint, ...options } : endpoint === undefined ? options : { ...options, endpoint };
  const settings = settingsOf(all);
  const source = new EndpointSource(all);
  const supervisor = new Supervisor(settings, source);
  const methods = new Methods({ session: supervisor.session, api: new Api(settings, source) }, supervisor);
  return withMembers(methods, (type) => accessor(methods, type)) as unknown as Client<R>;
}

function accessor(methods: Methods, type: string): ActorAccessor<AnyActorDefinition> {
  return Object.freeze({
    get: (key?: ActorKey, options?: GetOptions<AnyActorDefinition>) => methods.get(type, key, options),
    getOrCreate: (key?: ActorKey, options?: GetOrCreateOptions<AnyActorDefinition>) => methods.getOrCreate(type, key, options),
    create: (key?: ActorKey, options?: CreateOptions<AnyActorDefinition>) => methods.create(type, key, options),
    getForId: (id: string, options?: GetOptions<AnyActorDefinition>) => methods.getForId(type, id, options),
  });
}

type Handle = ActorHandle<AnyActorDefinition>;

/** Methods is the client itself: actor types of every name. */
class Methods {
  readonly #context: Context;
  readonly #supervisor: Supervisor;

  constructor(context: Context, supervisor: Supervisor) {
    this.#context = context;
    this.#supervisor = supervisor;
  }

  readonly get = (type: string, key?: ActorKey, options: GetOptions<AnyActorDefinition> = {}): Handle =>
    makeHandle(this.#context, byAddress(type, key, "get"), options);

  readonly getOrCreate = (type: string, key?: ActorKey, options: GetOrCreateOptions<AnyActorDefinition> = {}): Handle => {
    const target = this.#withInput(byAddress(type, key, "getOrCreate"), options.createWithInput, "createWithInput");
    return makeHandle(this.#context, inRegion(target, options.createInRegion), options);
  };

  readonly create = async (type: string, key?: ActorKey, options: CreateOptions<AnyActorDefinition> = {}): Promise<Handle> => {
    const target = inRegion(this.#withInput(byAddress(type, key, "create"), options.input, "input"), options.region);
    const id = await this.#context.api.identify("POST", target, options.signal);
    return this.getForId(type, id, options);
  };

  readonly getForId = (_type: string, id: string, options: GetOptions<AnyActorDefinition> = {}): Handle =>
    makeHandle(this.#context, byId(id), options);

  get transport(): Transport | undefined {
    return this.#context.session.transport;
  }

  readonly dispose = async (): Promise<void> => {
    this.#context.api.close();
    await this.#supervisor.close();
  };

  /** Anything but undefined is an input, also null, 0 and "" [PAY-3]. What cannot be encoded shows at the first use. */
  #withInput(target: Target, input: unknown, name: string): Target {
    if (input === undefined) return target;
    try {
      return { ...target, input: encodeFor(this.#context.session.codec, input, name) };
    } catch (cause) {
      const invalid = raise("request.invalid_payload", `The input cannot be encoded: ${messageOf(cause)}`, { cause });
      return { ...target, invalid: target.invalid ?? invalid };
    }
  }
}

/** inRegion refuses what the protocol has no field for, instead of passing it over. */
function inRegion(target: Target, region: string | undefined): Target {
  if (region === undefined) return target;
  const invalid = raise("request.unsupported", "The gateway cannot be told the region of a new actor; leave createInRegion out.");
  return { ...target, invalid: target.invalid ?? invalid };
}
