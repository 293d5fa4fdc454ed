import type { Target } from "./address.ts";
import { call } from "./call.ts";
import type { ActorError } from "./error.ts";
import { withActions } from "./proxy.ts";
import { Connection } from "./session/connection.ts";
import type { Session } from "./session/session.ts";
import type { ActionRequest, ActorConn, AnyActorDefinition, ConnMethods, ConnStatus, EventHandler, EventName, Transport, Unsubscribe } from "./types.ts";

/** makeConn attaches to an actor, in the background. */
export function makeConn<D extends AnyActorDefinition>(session: Session, target: Target, makeParams: Connection["makeParams"]): ActorConn<D> {
  const connection = new Connection(target, makeParams);
  const conn = new Conn<D>(session, connection);
  // Handlers that are registered in this turn find what the actor sends while it accepts the connection.
  queueMicrotask(() => {
    if (connection.phase !== "closed") session.connections.attach(connection);
  });
  const proxy = withActions(conn, (name, args) => conn.action({ name, args }));
  return proxy as unknown as ActorConn<D>;
}

class Conn<D extends AnyActorDefinition> implements ConnMethods<D> {
  readonly #session: Session;
  readonly #connection: Connection;

  constructor(session: Session, connection: Connection) {
    this.#session = session;
    this.#connection = connection;
  }

  get connStatus(): ConnStatus {
    return this.#connection.status;
  }

  get isConnected(): boolean {
    return this.#connection.status === "connected";
  }

  get transport(): Transport | undefined {
    return this.#session.transport;
  }

  readonly action = <Result = unknown>(request: ActionRequest): Promise<Result> =>
    call(this.#session, this.#connection.target, this.#connection, request) as Promise<Result>;

  readonly on = <Name extends EventName<D>>(event: Name, handler: EventHandler<D, Name>): Unsubscribe =>
    this.#subscribe(event, handler as (...args: unknown[]) => void, false);

  readonly once = <Name extends EventName<D>>(event: Name, handler: EventHandler<D, Name>): Unsubscribe =>
    this.#subscribe(event, handler as (...args: unknown[]) => void, true);

  #subscribe(event: string, handler: (...args: unknown[]) => void, once: boolean): Unsubscribe {
    return this.#session.connections.subscriptions.on(this.#connection, event, handler, once);
  }

  readonly onError = (handler: (error: ActorError) => void): Unsubscribe => this.#connection.inbox.onError(handler);

  readonly onOpen = (handler: () => void): Unsubscribe => this.#connection.inbox.onOpen(handler);

  readonly onClose = (handler: (reason: ActorError | undefined) => void): Unsubscribe => this.#connection.inbox.onClose(handler);

  readonly onStatusChange = (handler: (status: ConnStatus) => void): Unsubscribe => this.#connection.inbox.onStatus(handler);

  readonly onTransportChange = (handler: (transport: Transport) => void): Unsubscribe => this.#connection.inbox.onTransport(handler);

  readonly dispose = (): Promise<void> => {
    this.#session.connections.close(this.#connection);
    return Promise.resolve();
  };
}
