import { Root } from "../state/index.ts";
import type { ConnectionClose, ConnectionState } from "../wire/messages.ts";
import { emit } from "./emit.ts";
import { clip, fault } from "./fault.ts";
import type { Incarnation } from "./incarnation.ts";
import type { ConnOutput } from "./output.ts";
import { decodeValue } from "./payload.ts";

const maxReason = 4 << 10;

/** Connection is what the host knows of a connection. */
export class Connection {
  readonly actor: Incarnation;
  readonly id: string;
  /** What the user sees of it: one object per connection. */
  readonly outer: Conn;
  /** 0: the gateway has it no more. */
  ref: number;
  /** In the actor's list. */
  visible = false;
  /** Its open was answered, so that the gateway takes outputs about it. */
  accepted = false;
  /** Its open was never answered, so that no commit has its id [CONN-8]. */
  unrecorded = false;
  /** Why it was closed before its open was answered. */
  closed: string | undefined;
  /** Its onDisconnect is queued, or was. */
  leaving = false;
  readonly #encodedParams: Uint8Array;
  #params: unknown;
  #decoded = false;
  #root: Root | undefined;

  constructor(actor: Incarnation, id: string, ref: number, params: Uint8Array) {
    this.actor = actor;
    this.id = id;
    this.ref = ref;
    this.#encodedParams = params;
    this.outer = new Conn(this);
  }

  /** Where an event for it goes: nowhere if it is gone. */
  get address(): readonly number[] {
    return this.ref === 0 || !this.visible ? [] : [this.ref];
  }

  /** The state, tracked. */
  get root(): Root {
    this.#root ??= new Root("conn.state", () => this.actor.conns.touch(this));
    return this.#root;
  }

  get params(): unknown {
    if (!this.#decoded) {
      this.#params = decodeValue(this.#encodedParams);
      this.#decoded = true;
    }
    return this.#params;
  }

  /** restore sets a state that was sent before. */
  restore(state: Uint8Array | undefined): void {
    if (this.actor.def.connState === undefined) return;
    try {
      this.root.reset(decodeValue(state));
    } catch (error) {
      throw fault("state.invalid", `The state of connection ${this.id} cannot be decoded: ${(error as Error).message}.`);
    }
  }

  /** stateOutput keeps the state for the next generation. It is an error where it is too large. */
  stateOutput(): ConnOutput {
    this.root.dirty = false;
    const state = this.root.encode();
    const limit = this.actor.port.session.limits.maxConnectionState;
    if (state.length > limit) {
      throw fault("connection.state_too_large", `The state of connection ${this.id} has ${state.length} bytes, at most ${limit} are allowed.`);
    }
    return this.#output({ kind: "connectionState", actor: this.actor.port.ref, connection: this.ref, state });
  }

  /** disconnect closes it. onDisconnect is a turn of its own [CONN-4]. */
  disconnect(reason: string): void {
    const { actor } = this;
    if (!this.visible) return;
    actor.conns.remove(this);
    if (this.accepted) this.close(reason);
    else this.closed = reason; // its open sees to it
  }

  /** close tells the gateway and runs onDisconnect. */
  close(reason: string): void {
    const { actor } = this;
    if (this.ref !== 0) actor.ledger.output(this.closeOutput(reason)); // else its client has left
    if (actor.def.hooks.onDisconnect !== undefined) actor.mailbox.leaves(this);
  }

  closeOutput(reason: string): ConnOutput {
    const { ref } = this.actor.port;
    return this.#output({ kind: "connectionClose", actor: ref, connection: this.ref, code: "connection.disconnected", reason: clip(reason, maxReason) });
  }

  #output(m: ConnectionState | ConnectionClose): ConnOutput {
    return Object.assign(m, { of: this });
  }
}

/** Conn is a connection as the user sees it. */
export class Conn {
  readonly #inner: Connection;

  constructor(inner: Connection) {
    this.#inner = inner;
  }

  get id(): string {
    return this.#inner.id;
  }

  get params(): unknown {
    return this.#inner.params;
  }

  get state(): unknown {
    this.#declared();
    return this.#inner.root.view;
  }

  set state(value: unknown) {
    this.#declared();
    this.#inner.root.replace(value);
  }

  /** Sends an event to this connection; to one that is gone, nothing. */
  send(name: string, ...args: unknown[]): void {
    emit(this.#inner.actor, name, args, { to: this.#inner.address });
  }

  /** Sends it an event that may be dropped. */
  sendUnreliable(name: string, ...args: unknown[]): void {
    emit(this.#inner.actor, name, args, { to: this.#inner.address, unreliable: true });
  }

  disconnect(reason = ""): Promise<void> {
    this.#inner.disconnect(String(reason));
    return Promise.resolve();
  }

  #declared(): void {
    const { actor } = this.#inner;
    if (actor.def.connState === undefined) {
      throw fault("state.invalid", `The actor type ${actor.name} declares no connection state: give connState or createConnState.`);
    }
  }
}
