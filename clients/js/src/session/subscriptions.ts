// Which events connections are subscribed to [CONN-5] [CONN-9].

import { ActorError, raise } from "../error.ts";
import type { Unsubscribe } from "../types.ts";
import { isWellFormed } from "../values/bytes.ts";
import type { Draft } from "../wire/messages.ts";
import type { Channel } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { limitError } from "./limits.ts";
import type { Session } from "./session.ts";

/** maxEventNameBytes bounds the name of an event [CONN-9]. */
const maxEventNameBytes = 128;

/** Change is a Subscribe or Unsubscribe that was not answered. */
interface Change {
  readonly channel: Channel;
  readonly message: Draft;
  readonly event: string;
  readonly on: boolean;
}

export class Subscriptions {
  private readonly session: Session;
  private readonly changes = new Map<number, Change>();

  constructor(session: Session) {
    this.session = session;
  }

  /** on registers a handler; the first of an event subscribes to it, the removal of the last one unsubscribes. */
  on(conn: Connection, event: string, handler: (...args: unknown[]) => void, once: boolean): Unsubscribe {
    const { listener, first } = conn.inbox.add(event, handler, once);
    if (first) this.want(conn, event);
    return () => {
      if (conn.inbox.remove(event, listener)) this.unwant(conn, event);
    };
  }

  /** deliver gives an event to the handlers of its connection. */
  deliver(conn: Connection, event: string, args: Uint8Array | undefined): void {
    conn.inbox.event(event, args, (listener) => {
      if (conn.inbox.remove(event, listener)) this.unwant(conn, event);
    });
  }

  private want(conn: Connection, event: string): void {
    conn.wanted.set(event, { refused: false, id: 0 });
    if (event === "" || !isWellFormed(event) || new TextEncoder().encode(event).length > maxEventNameBytes) {
      this.refuse(conn, event, raise("request.invalid", `The name of an event is 1 to ${maxEventNameBytes} bytes of UTF-8.`));
    } else if (conn.status === "connected") {
      this.subscribe(conn, event); // else reconcile makes up for it
    }
  }

  private unwant(conn: Connection, event: string): void {
    conn.wanted.delete(event);
    if (conn.status === "connected" && conn.asked.has(event)) this.unsubscribe(conn, event);
  }

  /** first is what an open asks for, noted as asked. */
  first(conn: Connection): string[] {
    const names = [...conn.wanted].filter(([, { refused }]) => !refused).map(([name]) => name);
    const most = this.session.limits?.maxSubscriptions || names.length;
    for (const name of names.slice(most)) this.refuse(conn, name, limitError("max_subscriptions", names.length, most));
    for (const name of names.slice(0, most)) conn.asked.add(name);
    return names.slice(0, most);
  }

  /** reconcile brings a connection that has become usable to what is wanted by now. */
  reconcile(conn: Connection): void {
    for (const event of [...conn.asked]) if (!conn.wanted.has(event)) this.unsubscribe(conn, event);
    for (const [event, { refused }] of [...conn.wanted]) if (!refused && !conn.asked.has(event)) this.subscribe(conn, event);
  }

  private subscribe(conn: Connection, event: string): void {
    const error = limitError("max_subscriptions", conn.asked.size + 1, this.session.limits?.maxSubscriptions);
    if (error !== undefined) return this.refuse(conn, event, error);
    conn.asked.add(event);
    const id = this.change(conn, event, true);
    const wanted = conn.wanted.get(event);
    if (wanted !== undefined) wanted.id = id;
  }

  private unsubscribe(conn: Connection, event: string): void {
    conn.asked.delete(event);
    this.change(conn, event, false);
  }

  private change(conn: Connection, event: string, on: boolean): number {
    const channel = conn.channel as Channel; // it is open
    const id = this.session.nextId();
    const message: Draft = { kind: on ? "subscribe" : "unsubscribe", id, connection: channel.number, events: [event] };
    this.changes.set(id, { channel, message, event, on });
    this.session.send(channel, message);
    return id;
  }

  /** onResult: the gateway answered a Subscribe or Unsubscribe. error undefined: it took effect. */
  onResult(id: number, error: ActorError | undefined): void {
    const change = this.changes.get(id);
    if (change === undefined) return;
    this.changes.delete(id);
    this.session.channels.arrived(change.channel, (frame) => frame.message === change.message);
    const { conn } = change.channel;
    if (error === undefined || conn === undefined) return;
    if (!change.on) return conn.inbox.tellError(error);
    if (conn.wanted.get(change.event)?.id !== id) return; // there was another since
    conn.asked.delete(change.event);
    this.refuse(conn, change.event, error);
  }

  /** forget drops what is not answered on a channel that has ended, or on all. */
  forget(channel?: Channel): void {
    for (const [id, change] of this.changes) if (channel === undefined || change.channel === channel) this.changes.delete(id);
  }

  /** refuse gives an event up and tells why. */
  private refuse(conn: Connection, event: string, error: ActorError | undefined): void {
    const wanted = conn.wanted.get(event);
    if (wanted !== undefined) wanted.refused = true;
    if (error === undefined) return;
    const { group, code, message, metadata, retryable, ran } = error;
    conn.inbox.tellError(new ActorError({ group, code, message: `Event ${event}: ${message}`, metadata, retryable, ran }));
  }
}
