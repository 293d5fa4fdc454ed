import { segmentOf } from "../address.ts";
import { errorOf, readAnswer, reasonOf, wireError } from "../answer.ts";
import { ActorError, raise } from "../error.ts";
import { after } from "../timer.ts";
import { decode, encode, fromJson, toJson } from "../values/index.ts";
import type { Address, ConnectionOpen, Draft, Mode, Reconnect } from "../wire/messages.ts";
import { readEvents } from "./eventstream.ts";
import type { StreamedEvent } from "./eventstream.ts";

/** silenceMs is after how long without a sound, also without a comment, a stream is opened anew. */
const silenceMs = 45_000;
/** A stream that is lost is opened again at once, then after pauses that double, so many times in a row. */
const firstPauseMs = 100;
const mostAttempts = 8;

/** Requester makes requests, and takes what they bring. */
export interface Requester {
  fetch(path: string, init: RequestInit, signal: AbortSignal): Promise<Response>;
  tell(message: Draft): void;
  /** lost: the gateway does not answer any more. */
  lost(reason: string): void;
}

/** Change is a Subscribe that was not answered. */
interface Change {
  readonly id: number;
  readonly events: readonly string[];
}

/**
 * SseConnection is a connection by a stream of server-sent events, or by one after the other [HTTP-10]. A stream has the events
 * that it was asked for with: for more of them the connection is opened anew, which is told as another ConnectionOpened.
 */
export class SseConnection {
  /** Whom it is with. */
  readonly target: { readonly address: Address | undefined; readonly id: string; readonly mode: Mode };
  private readonly first: ConnectionOpen;
  private readonly requester: Requester;
  /** What the stream is asked for with, in an order that stays: else it would be another connection. */
  private events: readonly string[];
  private readonly waiting: Change[] = [];
  /** With which the present stream was asked for, beside events. */
  private changing: Change[] = [];
  private opened = false;
  private lastId = "";
  private attempts = 0;
  private stream = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private over = false;

  constructor(first: ConnectionOpen, requester: Requester) {
    this.first = first;
    this.requester = requester;
    this.target = { address: first.target, id: first.targetId, mode: first.mode };
    this.events = first.subscriptions;
  }

  /** open asks for a stream, behind what has come. */
  open(): void {
    this.stream.abort();
    this.stream = new AbortController();
    void this.follow(this.stream.signal);
  }

  /** subscribe adds events; the answer is told when a stream has them. */
  subscribe(id: number, events: readonly string[]): void {
    if (this.waiting.push({ id, events }) === 1) queueMicrotask(() => this.change()); // with what else is asked for meanwhile
  }

  /** unsubscribe is no reason for another stream: what nobody listens to may come. */
  unsubscribe(id: number): void {
    this.answer(id);
  }

  close(): void {
    this.over = true;
    clearTimeout(this.timer);
    this.stream.abort();
  }

  private answer(id: number, error?: ActorError): void {
    this.requester.tell({ kind: "subscriptionResult", id, connection: this.first.connection, error: error && wireError(error) });
  }

  /** change asks for what waits: all at once, or after a refusal one by one. */
  private change(most = Number.POSITIVE_INFINITY): void {
    if (!this.opened || this.over || this.changing.length > 0) return;
    while (this.changing.length < most) {
      const next = this.waiting.shift();
      if (next === undefined) break;
      if (next.events.every((event) => this.events.includes(event))) this.answer(next.id);
      else this.changing.push(next);
    }
    if (this.changing.length > 0) this.open();
  }

  /** wanted is the events that the next stream is asked for. */
  private wanted(): string[] {
    return [...new Set([...this.events, ...this.changing.flatMap(({ events }) => events)])];
  }

  private async follow(signal: AbortSignal): Promise<void> {
    let reason = "the stream ended";
    try {
      const response = await this.requester.fetch(`actors/${segmentOf(this.target)}/events?${this.query()}`, { headers: this.headers() }, signal);
      if (response.status === 204) return this.end({ error: wireError(raise("connection.resume_lost")), reconnect: "same" });
      if (!response.ok || response.body === null) await readAnswer(response);
      else await this.read(response.body, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (ActorError.is(error) && !ActorError.is(error, "client.invalid_response")) return this.refused(error);
      reason = reasonOf(error);
    }
    if (!signal.aborted && !this.over) this.again(reason);
  }

  private query(): string {
    const { input, params, mode } = this.first;
    const query = new URLSearchParams(this.wanted().map((event) => ["event", event]));
    if (mode !== "") query.set("mode", mode);
    if (params !== undefined) query.set("params", toJson(decode(params)));
    if (input !== undefined) query.set("input", toJson(decode(input)));
    return query.toString();
  }

  private headers(): Record<string, string> {
    return { accept: "text/event-stream", ...(this.lastId !== "" && { "last-event-id": this.lastId }) };
  }

  private async read(body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
    const touch = () => {
      clearTimeout(this.timer);
      this.timer = after(silenceMs, () => this.again("nothing comes any more"));
    };
    touch();
    try {
      for await (const event of readEvents(body, touch)) {
        if (signal.aborted || this.over) return;
        this.attempts = 0;
        if (event.id !== "") this.lastId = event.id; // also of one that cannot be read, which would come again
        this.take(event);
      }
    } finally {
      if (!signal.aborted) clearTimeout(this.timer);
    }
  }

  private take({ event, data }: StreamedEvent): void {
    const value = fromJson(JSON.parse(data) as unknown);
    const connection = this.first.connection;
    if (event === "stagedoor:opened") this.onOpened(value as { actorId: string; connectionId: string; resumed?: boolean });
    else if (event === "stagedoor:closed") this.onClosed(value as { error?: unknown; reconnect?: string });
    else this.requester.tell({ kind: "event", connection, event, args: encode(value) });
  }

  private onOpened({ actorId, connectionId, resumed }: { actorId: string; connectionId: string; resumed?: boolean }): void {
    const isNew = !this.opened || resumed !== true;
    this.opened = true;
    this.events = this.wanted();
    if (isNew) this.requester.tell({ kind: "connectionOpened", connection: this.first.connection, actorId, connectionId });
    for (const { id } of this.changing.splice(0)) this.answer(id);
    this.change();
  }

  /** onClosed: what the gateway can go on with is gone on with [SESS-18]. */
  private onClosed({ error, reconnect }: { error?: unknown; reconnect?: string }): void {
    const known = errorOf(error);
    if (known?.group === "session" && reconnect === "same") return this.again(known.message);
    const how = reconnect === "same" || reconnect === "any" || reconnect === "never" ? reconnect : "";
    this.end({ error: known && wireError(known), reconnect: how });
  }

  /** refused: there is no such stream; if that is because of a change, the one without it goes on. */
  private refused(error: ActorError): void {
    const changing = this.changing.splice(0);
    if (changing.length === 0) return this.end({ error: wireError(error), reconnect: "" });
    const [only] = changing;
    if (changing.length === 1 && only !== undefined) {
      this.answer(only.id, error);
      return this.open();
    }
    this.waiting.unshift(...changing);
    this.change(1);
  }

  private end(how: { readonly error: ReturnType<typeof wireError> | undefined; readonly reconnect: Reconnect }): void {
    if (this.over) return;
    this.close();
    this.requester.tell({ kind: "connectionClosed", connection: this.first.connection, ...how });
  }

  private again(reason: string): void {
    if (this.over) return;
    this.stream.abort();
    clearTimeout(this.timer);
    this.attempts++;
    if (this.attempts > mostAttempts) return this.requester.lost(reason);
    const pauseMs = this.attempts === 1 ? 0 : firstPauseMs * 2 ** (this.attempts - 2);
    this.timer = after(pauseMs, () => this.open());
  }
}
