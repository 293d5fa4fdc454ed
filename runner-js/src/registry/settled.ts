/**
 * Begins to make what an actor has changed durable.
 *
 * @returns what to wait for; undefined: nothing was changed
 */
export type Settle = () => Promise<void> | undefined;

type Method = (...args: unknown[]) => unknown;
type Members = Readonly<Record<string | symbol, unknown>>;

/** What a connection has that sends no call. */
const connOwn = new Set(["connStatus", "isConnected", "on", "once", "onError", "onOpen", "onClose", "onStatusChange", "dispose"]);

/**
 * A client for the code of one actor: before a call leaves, what the actor has changed is durable [FLUSH-1]. The client itself
 * is shared by all actors, so `dispose` does nothing.
 */
export function settledClient(client: object, settle: Settle): object {
  return wrap(client, (name, value) => {
    if (name === "dispose") return () => Promise.resolve();
    return typeof value === "function" ? maker(name, value as Method, settle) : accessor(value as object, settle);
  });
}

/** client.counter */
function accessor(value: object, settle: Settle): object {
  return wrap(value, (name, method) => maker(name, method as Method, settle));
}

/** What makes handles: `create` calls at once, the others do not. */
function maker(name: string, make: Method, settle: Settle): Method {
  if (name !== "create") return (...args) => handle(make(...args) as object, settle);
  return async (...args) => handle((await afterwards(settle, () => make(...args))) as object, settle);
}

function handle(value: object, settle: Settle): object {
  return wrap(value, (name, member) => {
    if (name !== "connect") return call(member as Method, settle);
    return (...args: unknown[]) => {
      void settle()?.catch(() => undefined); // the open does not wait: it says nothing of what the actor has changed
      return conn((member as Method)(...args) as object, settle);
    };
  });
}

function conn(value: object, settle: Settle): object {
  return wrap(value, (name, member) => (connOwn.has(name) ? member : call(member as Method, settle)));
}

/** An action, and at the same time a group of actions. */
function call(action: Method, settle: Settle): Method {
  return new Proxy((...args: unknown[]) => afterwards(settle, () => action(...args)), {
    get: (target, name) => {
      if (typeof name === "symbol") return Reflect.get(target, name) as unknown;
      const member = (action as unknown as Members)[name];
      return typeof member === "function" ? call(member as Method, settle) : member;
    },
  });
}

async function afterwards(settle: Settle, then: () => unknown): Promise<unknown> {
  await settle();
  return then();
}

/** Has every member that is there under a name made into another. The members may be frozen, so the proxy is one of nothing. */
function wrap(value: object, make: (name: string, member: unknown) => unknown): object {
  return new Proxy(
    {},
    {
      get: (_, name) => {
        const member = (value as Members)[name];
        return typeof name === "symbol" || member === undefined || name in Object.prototype ? member : make(name, member);
      },
    },
  );
}
