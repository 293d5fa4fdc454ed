// Opening, losing and reopening connections [CONN-1] to [CONN-4].

import { wireError } from "../answer.ts";
import { ActorError, messageOf, raise } from "../error.ts";
import { pauseMs } from "../options.ts";
import { after } from "../timer.ts";
import { NotStorableError } from "../values/index.ts";
import type { ConnectionClosed, ConnectionOpened, Draft, Reconnect } from "../wire/messages.ts";
import { now } from "./call.ts";
import type { Channel } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { limitError } from "./limits.ts";
import type { Session } from "./session.ts";
import { receivedError } from "./received.ts";
import { Subscriptions } from "./subscriptions.ts";

/** Connections is all connections of a client that are not over. */
export class Connections {
  readonly attached = new Set<Connection>();
  readonly subscriptions: Subscriptions;
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
    this.subscriptions = new Subscriptions(session);
  }

  /** attach takes a new connection in. */
  attach(conn: Connection): void {
    const invalid = this.session.closed ? raise("client.closed") : conn.target.invalid;
    if (invalid !== undefined) return this.finish(conn, invalid);
    this.attached.add(conn);
    if (this.session.phase === "ready") this.open(conn);
    this.session.stir();
  }

  /** onWelcome: the session has begun, or goes on. */
  onWelcome(): void {
    for (const conn of [...this.attached]) {
      if (conn.phase === "detached") this.open(conn);
      else if (conn.phase === "open") {
        conn.setStatus("connected");
        this.subscriptions.reconcile(conn);
      }
    }
  }

  /** open makes the params, and asks for the connection. */
  private open(conn: Connection): void {
    const turn = ++conn.turn;
    conn.phase = "preparing";
    conn.channel = undefined;
    const current = () => conn.phase === "preparing" && conn.turn === turn;
    let params: ReturnType<Connection["makeParams"]>;
    try {
      params = conn.makeParams();
    } catch (error) {
      return this.unprepared(conn, error);
    }
    if (!(params instanceof Promise)) return this.ask(conn, params);
    conn.timer = setTimeout(() => {
      if (current()) this.unprepared(conn, new Error("it has not answered in time"));
    }, this.session.settings.waitTimeoutMs);
    params.then(
      (value) => {
        if (!current()) return;
        clearTimeout(conn.timer);
        if (this.session.phase === "ready") this.ask(conn, value);
        else conn.phase = "detached";
      },
      (error: unknown) => {
        if (!current()) return;
        clearTimeout(conn.timer);
        this.unprepared(conn, error);
      },
    );
  }

  /** unprepared: there are no params. What getParams throws may be over soon; a value that cannot be sent stays one. */
  private unprepared(conn: Connection, cause: unknown): void {
    if (cause instanceof NotStorableError) {
      return this.finish(conn, raise("request.invalid_payload", `The params cannot be encoded: ${cause.message}`, { cause }));
    }
    this.reopenLater(conn, raise("request.invalid", `getParams failed: ${messageOf(cause)}`, { cause }));
  }

  /** ask sends ConnectionOpen, under a number that was never used. */
  private ask(conn: Connection, params: Uint8Array | undefined): void {
    const { session } = this;
    const { address, id, mode, input } = conn.target;
    conn.asked.clear();
    const subscriptions = conn.apart ? [] : this.subscriptions.first(conn);
    const connection = session.nextId();
    const message: Draft = { kind: "connectionOpen", connection, target: address, targetId: id, mode, input, params, subscriptions };
    const invalid =
      limitError("max_params", params?.length ?? 0, session.limits?.maxParams) ??
      limitError("max_input", input?.length ?? 0, session.limits?.maxInput) ??
      session.sizeError(message);
    if (invalid !== undefined) return this.finish(conn, invalid);
    conn.phase = "opening";
    conn.channel = session.channels.open(connection, conn);
    session.send(conn.channel, message);
  }

  onOpened(message: ConnectionOpened): void {
    const { session } = this;
    const channel = session.channels.find(message.connection);
    const conn = channel?.conn;
    if (conn?.phase === "open") conn.inbox.tellOpen(); // anew, by requests [HTTP-10]
    if (channel === undefined || conn?.phase !== "opening") return;
    if (channel.given > 0) session.channels.release(channel, 1); // ConnectionOpen has arrived
    conn.phase = "open";
    conn.openedAt = now();
    conn.fault = undefined;
    conn.setStatus("connected");
    conn.inbox.tellOpen();
    this.subscriptions.reconcile(conn);
    for (const call of conn.held.take()) session.queue.push(call);
    session.stir();
  }

  /** onClosed: the gateway refused or ended the connection, or confirms that we left it. */
  onClosed(message: ConnectionClosed): void {
    const { session } = this;
    const channel = session.channels.find(message.connection);
    if (channel === undefined || channel.number === 0 || channel.ended) return;
    const { conn } = channel;
    channel.ended = true;
    channel.conn = undefined;
    session.channels.ackNow = session.channels.keeping; // [SESS-14]
    const error = message.error && receivedError(message.error);
    session.endChannel(channel);
    if (error === undefined) session.channels.release(channel, channel.acked + channel.given); // it has read our close, the last we sent
    else if (ActorError.is(error, "connection.resume_lost")) session.giveUp(channel, error);
    session.channels.forget(channel);
    if (conn !== undefined) this.endOrReopen(conn, message.reconnect, error);
  }

  /** onLost: the connection cannot go on, and opens anew. What was sent on it can have arrived. */
  onLost(channel: Channel): void {
    channel.given = channel.kept.length;
    const error = wireError(raise("connection.resume_lost", "The connection's stream was lost, and another could not go on with it."));
    this.onClosed({ kind: "connectionClosed", connection: channel.number, error, reconnect: "same" });
  }

  private endOrReopen(conn: Connection, reconnect: Reconnect, error: ActorError | undefined): void {
    if (error === undefined) {
      this.finish(conn, undefined);
    } else if (conn.phase === "opening" && ActorError.is(error, "event.not_found") && conn.asked.size > 0) {
      conn.apart = true; // one of them is not declared; asking for each finds out which
      this.open(conn);
    } else if (reconnect === "" ? error.retryable : reconnect !== "never") {
      this.reopenLater(conn, error);
    } else {
      this.finish(conn, error);
    }
  }

  /** reopenLater opens the connection again after a pause of its own. Calls that were written are still answered [CALL-1]. */
  private reopenLater(conn: Connection, error: ActorError): void {
    const { session } = this;
    this.suspend(conn);
    conn.phase = "waiting";
    conn.fault = error;
    conn.inbox.tellError(error);
    conn.attempts++;
    conn.timer = after(error.retryAfterMs + pauseMs(session.settings, conn.attempts), () => {
      if (conn.phase !== "waiting") return;
      conn.phase = "detached";
      if (session.phase === "ready") this.open(conn);
      session.stir();
    });
    session.watchWaiting();
  }

  /** suspend takes note that a connection is open no more. */
  private suspend(conn: Connection): void {
    conn.channel = undefined;
    if (conn.phase !== "open") return;
    if (now() - conn.openedAt >= this.session.settings.backoffMaxMs) conn.attempts = 0;
    conn.apart = false;
    conn.setStatus("disconnected");
    this.session.hold(conn);
  }

  /** pause: there is no socket, but the session may go on. */
  pause(): void {
    for (const conn of this.attached) if (conn.status === "connected") conn.setStatus("disconnected");
  }

  /** lose: the session is over; the connections open again in the next one. */
  lose(): void {
    for (const conn of this.attached) {
      if (conn.phase !== "opening" && conn.phase !== "open") continue;
      this.suspend(conn);
      conn.phase = "detached";
    }
  }

  /** close leaves the actor. */
  close(conn: Connection): void {
    const { session } = this;
    if (conn.phase === "closed") return;
    const { channel } = conn;
    if (channel !== undefined) session.send(channel, { kind: "connectionClose", connection: channel.number });
    conn.inbox.mute();
    session.failCalls((call) => call.conn === conn, raise("connection.closed"));
    this.finish(conn, undefined);
  }

  /** refused: the gateway does not know ConnectionOpen. */
  refused(channel: Channel, error: ActorError): void {
    if (channel.conn !== undefined) this.finish(channel.conn, error);
    channel.ended = true;
    this.session.outbound.drop(channel);
    this.session.channels.remove(channel);
  }

  /** finish ends the connection for good. error undefined: it was asked for. */
  finish(conn: Connection, error: ActorError | undefined): void {
    this.session.hold(conn);
    if (conn.channel !== undefined) conn.channel.conn = undefined;
    conn.channel = undefined;
    conn.phase = "closed";
    conn.error = error;
    clearTimeout(conn.timer);
    this.attached.delete(conn);
    for (const call of conn.held.take()) this.session.complete(call, conn.closedError());
    if (error !== undefined && !this.session.closed) conn.inbox.tellError(error);
    conn.setStatus("idle");
    conn.inbox.tellClose(error);
    this.session.stir();
  }
}
