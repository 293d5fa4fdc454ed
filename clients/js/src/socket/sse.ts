// A session where there is nothing but requests: connections by server-sent events, calls by POST [HTTP-10] [HTTP-1]. It answers as a
// gateway does that cannot resume sessions, so that the rest of the client need not know.

import { segmentOf } from "../address.ts";
import { lostError, readAnswer, wireError } from "../answer.ts";
import { ActorError, messageOf } from "../error.ts";
import { longestMs } from "../timer.ts";
import { decode, encode } from "../values/index.ts";
import type { Call, ConnectionOpen, Draft, Hello, Message } from "../wire/messages.ts";
import { readDraft } from "../wire/draft.ts";
import { fetchMetadata } from "./hashes.ts";
import { SseConnection } from "./sseconnection.ts";
import type { Requester } from "./sseconnection.ts";
import type { Socket, SocketEvents, WayOptions } from "./socket.ts";

/** openSse is open when the gateway answers requests. */
export function openSse(options: WayOptions, events: SocketEvents): Socket {
  return new SseSocket(options, events);
}

class SseSocket implements Socket, Requester {
  readonly transport = "sse";
  readonly lanes = false;
  readonly bufferedBytes = 0;
  private readonly options: WayOptions;
  private readonly events: SocketEvents;
  private readonly over = new AbortController();
  private readonly calls = new Map<number, AbortController>();
  private readonly connections = new Map<number, SseConnection>();
  private identity: Pick<Hello, "token" | "namespace"> = { token: "", namespace: "" };

  constructor(options: WayOptions, events: SocketEvents) {
    this.options = options;
    this.events = events;
    fetchMetadata(options.base, this.over.signal).then(
      () => this.over.signal.aborted || events.opened(),
      (error: unknown) => this.lost(messageOf(error)),
    );
  }

  send(data: Uint8Array | string): void {
    for (const { message } of this.options.codec.decode(data, Number.POSITIVE_INFINITY)) if (message.kind !== "unknown") this.take(message);
  }

  finish(): void {}

  datagram(): boolean {
    return false;
  }

  ref(): void {}

  close(): void {
    this.over.abort();
    for (const connection of this.connections.values()) connection.close();
    for (const call of this.calls.values()) call.abort();
  }

  /** fetch requests a path of the gateway, as the client that it is. */
  fetch(path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    const { token, namespace } = this.identity;
    const headers: Record<string, string> = { ...(init.headers as Record<string, string>) };
    if (token) headers["authorization"] = `Bearer ${token}`;
    if (namespace) headers["stagedoor-namespace"] = namespace;
    return fetch(`${this.options.base}/v1/${path}`, { ...init, headers, signal, redirect: "error" });
  }

  /** tell answers as the gateway would, and never from within send. */
  tell(message: Draft): void {
    queueMicrotask(() => {
      if (message.kind === "connectionClosed") this.connections.delete(message.connection ?? 0);
      if (!this.over.signal.aborted) this.events.frames([{ message: readDraft(message), size: 0 }], 0);
    });
  }

  /** lost: the gateway does not answer any more. */
  lost(reason: string): void {
    if (this.over.signal.aborted) return;
    this.close();
    this.events.closed(reason);
  }

  private take(message: Message): void {
    switch (message.kind) {
      case "hello":
        this.identity = message;
        return this.tell({ kind: "welcome", session: "", pingMs: longestMs, nowMs: Date.now() });
      case "call":
        return void this.call(message);
      case "cancelCall":
        return this.calls.get(message.id)?.abort();
      case "connectionOpen":
        return this.open(message);
      case "connectionClose":
        this.connections.get(message.connection)?.close();
        return this.tell({ kind: "connectionClosed", connection: message.connection });
      case "subscribe":
        return this.connections.get(message.connection)?.subscribe(message.id, message.events);
      case "unsubscribe":
        return this.connections.get(message.connection)?.unsubscribe(message.id);
      case "ping":
        return this.tell({ kind: "pong", nonce: message.nonce, nowMs: Date.now() });
      default: // the rest is nothing that a request could be made of
    }
  }

  private open(message: ConnectionOpen): void {
    const connection = new SseConnection(message, this);
    this.connections.set(message.connection, connection);
    connection.open();
  }

  /** call is a call without connection, also for one that has a connection: its actor is the same. */
  private async call(message: Call): Promise<void> {
    const abort = new AbortController();
    this.calls.set(message.id, abort);
    const result = { kind: "callResult", id: message.id, connection: message.connection } as const;
    try {
      const output = await this.post(message, abort.signal);
      this.tell({ ...result, output: encode(output) });
    } catch (cause) {
      const error = ActorError.is(cause) ? cause : lostError(cause);
      this.tell({ ...result, error: wireError(error) });
      if (ActorError.is(error, "client.unreachable")) queueMicrotask(() => this.lost(error.message));
    } finally {
      this.calls.delete(message.id);
    }
  }

  private async post(message: Call, signal: AbortSignal): Promise<unknown> {
    const target = this.connections.get(message.connection)?.target ?? { ...message, address: message.target, id: message.targetId };
    const query = new URLSearchParams();
    if (target.mode !== "") query.set("mode", target.mode);
    if (message.deadlineMs > 0) query.set("deadlineMs", String(message.deadlineMs));
    const { args, input } = message;
    const body = encode({ ...(args !== undefined && { args: decode(args) }), ...(input !== undefined && { input: decode(input) }) });
    const path = `actors/${segmentOf(target)}/actions/${encodeURIComponent(message.action)}?${query.toString()}`;
    const headers = { "content-type": "application/cbor", accept: "application/cbor" };
    const answer = await readAnswer(await this.fetch(path, { method: "POST", headers, body: body as BodyInit }, signal));
    return (answer as { readonly output?: unknown } | null)?.output;
  }
}
