// A stand-in for a client, for what the network has no part in: who opens how many connections, and when they are closed.
import type { ActorError, AnyRegistry, Client, ConnStatus, Transport } from "@stagedoor/client";

type Listener<T> = (value: T) => void;

export class StandInConn {
  connStatus: ConnStatus = "connecting";
  transport: Transport | undefined;
  disposals = 0;
  private readonly onStatus = new Set<Listener<ConnStatus>>();
  private readonly onTransport = new Set<Listener<Transport>>();
  private readonly onFault = new Set<Listener<ActorError>>();

  onStatusChange(listener: Listener<ConnStatus>) {
    this.onStatus.add(listener);
    return () => this.onStatus.delete(listener);
  }

  onTransportChange(listener: Listener<Transport>) {
    this.onTransport.add(listener);
    return () => this.onTransport.delete(listener);
  }

  onError(listener: Listener<ActorError>) {
    this.onFault.add(listener);
    return () => this.onFault.delete(listener);
  }

  become(status: ConnStatus) {
    this.connStatus = status;
    for (const listener of this.onStatus) listener(status);
  }

  go(transport: Transport) {
    this.transport = transport;
    for (const listener of this.onTransport) listener(transport);
  }

  fail(error: ActorError) {
    for (const listener of this.onFault) listener(error);
  }

  async dispose() {
    this.disposals++;
    this.become("idle");
  }
}

export interface StandIn {
  readonly client: Client<AnyRegistry>;
  /** What the client was asked for. */
  readonly asked: unknown[];
  /** The connections, in the order in which they were opened. */
  readonly opened: StandInConn[];
}

export function standIn(): StandIn {
  const asked: unknown[] = [];
  const opened: StandInConn[] = [];
  const handle = (mode: string) => (name: string, key: unknown, options: unknown) => {
    asked.push([mode, name, key, options]);
    return {
      connect() {
        const connection = new StandInConn();
        opened.push(connection);
        return connection;
      },
    };
  };
  const client = { get: handle("get"), getOrCreate: handle("getOrCreate") };
  return { client: client as unknown as Client<AnyRegistry>, asked, opened };
}
