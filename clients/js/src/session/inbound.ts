import { raise } from "../error.ts";
import type { Frame, Unknown } from "../wire/frame.ts";
import { isCounted } from "../wire/messages.ts";
import type { CallResult, Event, Goodbye, Message, MessageKind, UnreliableEvent, Unsupported } from "../wire/messages.ts";
import { kinds } from "../wire/schema.ts";
import { receivedError } from "./received.ts";
import type { Session } from "./session.ts";

/** FarewellError: the gateway said that it ends the socket, and why. */
export class FarewellError extends Error {}

/** Inbound takes what a socket has read. */
export class Inbound {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** receive takes frames that came on a lane. What it throws ends the socket. */
  receive(frames: readonly Frame[], lane: number): void {
    for (const { message, size } of frames) this.take(message, size, lane);
    if (this.session.channels.ackNow) this.session.stir();
  }

  /** A frame is counted before it takes effect: the end of a channel still belongs to it. */
  private take(message: Message | Unknown, size: number, lane: number): void {
    const { session } = this;
    const { channels } = session;
    const counted = message.kind === "unknown" || isCounted(message.kind);
    if (counted && session.phase !== "ready") throw new Error("the gateway sent frames before Welcome");
    if (counted) {
      const channel = channels.inbound(session.lanes.on ? lane : "connection" in message ? message.connection : 0);
      channel.lanesLost = 0;
      channels.count(channel, size);
    }
    if (message.kind === "unknown") this.unsupported(message.unsupported);
    else if (message.kind === "ack" && !channels.keeping) this.unsupported(kinds.ack.number);
    else this.handle(message);
  }

  /** [FRAME-4] */
  private unsupported(kind: number | string): void {
    this.session.send(this.session.channels.zero, { kind: "unsupported", unsupported: kind });
    this.session.outbound.reply();
  }

  handle(message: Message): void {
    const { session } = this;
    switch (message.kind) {
      case "callResult":
        return this.onResult(message);
      case "event":
        return this.onEvent(message);
      case "welcome":
        return session.onWelcome(message);
      case "ack":
        session.channels.onAck(message.received);
        if (session.queue.length > 0) session.stir(); // there may be room now
        return;
      case "reject":
        session.rejected = message.error ? receivedError(message.error) : raise("client.invalid_response", "The gateway rejected the session without a reason.");
        throw new FarewellError(session.rejected.toString(), { cause: session.rejected });
      case "connectionOpened":
        return session.connections.onOpened(message);
      case "connectionClosed":
        return session.connections.onClosed(message);
      case "subscriptionResult":
        return session.connections.subscriptions.onResult(message.id, message.error && receivedError(message.error));
      case "unsupported":
        return this.onUnsupported(message);
      case "protocolError":
        return session.log("error", "the gateway could not use a frame", { error: message.error });
      case "ping":
        session.outbound.say({ kind: "pong", nonce: message.nonce, nowMs: Date.now() });
        return session.outbound.reply();
      case "goodbye":
        return this.onGoodbye(message);
      case "pong":
        return session.ponged(message.nonce);
      case "unreliableEvent":
        return this.onEvent(message);
      case "connectionResumed":
        return session.lanes.onResumed(message);
      case "call": // the rest only a client sends
      case "cancelCall":
      case "hello":
      case "connectionOpen":
      case "connectionResume":
      case "connectionClose":
      case "subscribe":
      case "unsubscribe":
        return;
      default:
        message satisfies never;
    }
  }

  private onGoodbye(message: Goodbye): void {
    this.session.goodbye = message;
    throw new FarewellError(`${message.code}: ${message.message}`);
  }

  private onResult(message: CallResult): void {
    const { session } = this;
    const { channels } = session;
    const call = session.unanswered.get(message.id);
    if (call === undefined) { // it was canceled
      return channels.arrived(channels.inbound(message.connection), (frame) => frame.call?.id === message.id);
    }
    channels.answered(call);
    session.complete(call, message.error && receivedError(message.error), message.output);
  }

  /** onEvent passes over what comes for a connection that is not open [CONN-11]. */
  private onEvent(message: Event | UnreliableEvent): void {
    const { connections, channels } = this.session;
    const { conn } = channels.inbound(message.connection);
    if (conn?.phase === "open") connections.subscriptions.deliver(conn, message.event, message.args);
  }

  /** onUnsupported ends what the gateway does not know, or nobody would hear of it again. */
  private onUnsupported(message: Unsupported): void {
    const { session } = this;
    const kind = nameOf(message.unsupported);
    session.log("warn", "the gateway does not support a frame", { kind });
    const error = raise("request.unsupported", `The gateway does not support the message ${kind}.`);
    if (kind === "call") {
      const call = session.unanswered.get(message.number);
      if (call !== undefined) session.complete(call, error);
    } else if (kind === "connectionOpen") {
      const channel = session.channels.find(message.number);
      if (channel !== undefined && channel.number !== 0) session.connections.refused(channel, error);
    } else if (kind === "subscribe" || kind === "unsubscribe") {
      session.connections.subscriptions.onResult(message.number, error);
    }
  }
}

function nameOf(unsupported: number | string): string {
  if (typeof unsupported === "string") return unsupported;
  const names = Object.keys(kinds) as MessageKind[];
  return names.find((name) => kinds[name].number === unsupported) ?? String(unsupported);
}
