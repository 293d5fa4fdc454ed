// The connections of one client, shared by the components that ask for the same. Knows nothing of React.
import type { ActorConn, ActorError, ActorHandle, AnyActorDefinition, AnyRegistry, Client, ConnStatus, Transport } from "@stagedoor/client";
import { digest, type Identity } from "./identity.ts";

/** What a component asks for. */
export interface Wanted extends Identity {
  readonly creation: { readonly createWithInput?: unknown; readonly createInRegion?: string };
}

/** How things stand with a connection. Another object each time that something has changed. */
export interface Snapshot {
  readonly connection: ActorConn<AnyActorDefinition> | null;
  readonly handle: ActorHandle<AnyActorDefinition> | null;
  readonly connStatus: ConnStatus;
  readonly isConnected: boolean;
  readonly transport: Transport | undefined;
  readonly error: ActorError | null;
  readonly hash: string;
}

/** A connection as a store for React: the first subscription opens it; it is closed a tick after the last one has ended. */
export interface Source {
  subscribe(this: void, onChange: () => void): () => void;
  /** How things stand now. */
  current(this: void): Snapshot;
  /** How things stand where nothing is connected: on a server, or while the component is disabled. */
  readonly idle: Snapshot;
}

export class Pool {
  private readonly client: Client<AnyRegistry>;
  private readonly shared = new Map<string, Shared>();

  constructor(client: Client<AnyRegistry>) {
    this.client = client;
  }

  /** A source of what is wanted. It does nothing before somebody subscribes, so that it can be made while rendering. */
  source(wanted: Wanted, identity: string): Source {
    const idle: Snapshot = {
      connection: null,
      handle: null,
      connStatus: "idle",
      isConnected: false,
      transport: undefined,
      error: null,
      hash: digest(identity),
    };
    return {
      idle,
      current: () => this.shared.get(identity)?.snapshot ?? idle,
      subscribe: (onChange) => {
        let shared = this.shared.get(identity);
        if (shared === undefined) {
          shared = new Shared(() => handleOf(this.client, wanted), idle, () => this.shared.delete(identity));
          this.shared.set(identity, shared);
        }
        return shared.join(onChange);
      },
    };
  }
}

function handleOf(client: Client<AnyRegistry>, { name, key, params, noCreate, creation }: Wanted): ActorHandle<AnyActorDefinition> {
  return noCreate ? client.get(name, key, { params }) : client.getOrCreate(name, key, { params, ...creation });
}

/** One connection, and those who use it. */
class Shared {
  snapshot: Snapshot;
  private readonly newHandle: () => ActorHandle<AnyActorDefinition>;
  private readonly idle: Snapshot;
  private readonly onReleased: () => void;
  private readonly users = new Set<{ readonly onChange: () => void }>();
  private releasing: ReturnType<typeof setTimeout> | undefined;

  constructor(newHandle: () => ActorHandle<AnyActorDefinition>, idle: Snapshot, onReleased: () => void) {
    this.newHandle = newHandle;
    this.snapshot = this.idle = idle;
    this.onReleased = onReleased;
  }

  /** Counts one more user, until the function that it returns is called. */
  join(onChange: () => void): () => void {
    clearTimeout(this.releasing);
    // A connection that is over for good is opened anew by who comes after all have left, and not under those who see why it is over.
    if (this.users.size === 0 && this.snapshot.connStatus === "idle") this.open();
    const user = { onChange };
    this.users.add(user);
    return () => {
      // Strict mode and remounts leave and come back within a tick: that is no reason to reconnect.
      if (this.users.delete(user) && this.users.size === 0) this.releasing = setTimeout(() => this.release());
    };
  }

  private open(): void {
    const handle = this.newHandle();
    const connection = handle.connect();
    this.snapshot = { ...this.idle, handle, connection, connStatus: connection.connStatus, transport: connection.transport };
    const change = (news: Partial<Snapshot>): void => {
      if (this.snapshot.connection === connection) this.change(news);
    };
    connection.onStatusChange((connStatus) => {
      const isConnected = connStatus === "connected";
      change({ connStatus, isConnected, ...(isConnected && { error: null }) });
    });
    connection.onTransportChange((transport) => change({ transport }));
    connection.onError((error) => change({ error }));
  }

  private change(news: Partial<Snapshot>): void {
    this.snapshot = { ...this.snapshot, ...news };
    for (const { onChange } of [...this.users]) onChange();
  }

  private release(): void {
    const { connection } = this.snapshot;
    this.snapshot = this.idle;
    this.onReleased();
    void connection?.dispose();
  }
}
