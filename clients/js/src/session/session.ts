import { raise, withRan } from "../error.ts";
import type { ActorError } from "../error.ts";
import type { Settings } from "../options.ts";
import type { Transport } from "../types.ts";
import type { Codec } from "../wire/codec.ts";
import type { Draft, Goodbye, Limits, Message, Welcome } from "../wire/messages.ts";
import { Call, interrupted, now } from "./call.ts";
import { Channels } from "./channel.ts";
import type { Channel, Owner } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { Connections } from "./connections.ts";
import { Fifo } from "./fifo.ts";
import { Inbound } from "./inbound.ts";
import { Lanes } from "./lanes.ts";
import { limitError } from "./limits.ts";
import { Outbound } from "./outbound.ts";
import { namedError } from "./received.ts";
import { Waiting } from "./waiting.ts";

/** What holds where Welcome names none. */
const defaultPingMs = 15_000; // [SESS-5]
const defaultResumeMs = 30_000; // [SESS-15]

const version = "0.1.0";

/** Next is what to do after a socket. */
export interface Next {
  /** Do not come back until there is new work. */
  readonly final: boolean;
  readonly retryAfterMs: number;
  /** It had got as far as Welcome. */
  readonly welcomed: boolean;
  /** The session goes on. */
  readonly resumable: boolean;
  /** Another socket is there, or another transport is to be taken: nothing speaks for waiting. */
  readonly elsewhere: boolean;
}

/** Driver gives the session its sockets. */
export interface Driver {
  /** start: a socket is needed, and nobody sees to one. */
  start(): void;
  /** wake: there may be something to write. */
  wake(): void;
  /** ref says, while there is no socket, whether anybody waits for one. */
  ref(busy: boolean): void;
  welcomed(pingMs: number): void;
  ponged(nonce: bigint): void;
  /** datagram sends what may be lost, where there is a way to. */
  datagram(message: Draft): void;
}

/** Way is what the session knows of a socket. */
export interface Way {
  readonly transport: Transport;
  readonly lanes: boolean;
}

/** Identity is who the client is to the gateway. */
export interface Identity {
  readonly token: string;
  readonly namespace: string;
}

/**
 * Session is the client's side of the protocol: calls and connections, over one socket after the other, and over one session of
 * the gateway after the other. It does no I/O: outbound says what to write, inbound takes what was read, begin and end tell of
 * sockets. Unless a call says otherwise, what is queued waits for the next socket.
 */
export class Session implements Owner {
  readonly settings: Settings;
  readonly codec: Codec;
  readonly connections: Connections;
  readonly inbound: Inbound;
  readonly outbound: Outbound;
  readonly lanes: Lanes;
  private readonly driver: Driver;
  private readonly waiting: Waiting;

  // Of all sessions.
  closed = false;
  /** Not given to a socket; only calls that may go now. */
  readonly queue = new Fifo<Call>();
  /** Weight of the calls in queue and in what connections hold. */
  queuedBytes = 0;
  limits: Limits | undefined;
  /** Why there is no socket. */
  lastFault: unknown;
  /** When the last session that got as far as Welcome was lost. */
  downSince = 0;
  /** Of the last socket that got as far as Welcome. */
  transport: Transport | undefined;
  private lastId = 0;

  // Of the present session. It outlives its socket if it has a token [SESS-15].
  readonly channels = new Channels();
  readonly unanswered = new Map<number, Call>();
  private resumeToken: Uint8Array | undefined;
  private resumeMs = defaultResumeMs;
  private resumeUntil = 0;

  /**
   * Of the present socket. `down`: there is none; `hello`: Welcome has not come, and nothing but Hello may be written;
   * `ready`.
   */
  phase: "down" | "hello" | "ready" = "down";
  private resuming = false;
  private way: Way = { transport: "websocket", lanes: false };
  /** The gateway's last word on the socket. */
  rejected: ActorError | undefined;
  goodbye: Goodbye | undefined;
  /** The session ends with the socket: we have said Goodbye, or had reason to. */
  left = false;

  constructor(settings: Settings, codec: Codec, driver: Driver) {
    this.settings = settings;
    this.codec = codec;
    this.driver = driver;
    this.connections = new Connections(this);
    this.inbound = new Inbound(this);
    this.outbound = new Outbound(this);
    this.lanes = new Lanes(this);
    this.waiting = new Waiting(this);
  }

  /** nextId is a number for a call, a subscription or a connection. */
  nextId(): number {
    return ++this.lastId;
  }

  /** submit queues a call, and is the call; undefined: it was settled at once. */
  submit(fields: ConstructorParameters<typeof Call>[0]): Call | undefined {
    const call = new Call(fields);
    const refusal = this.refusal(call);
    if (refusal !== undefined) {
      call.state = "done";
      call.settle(refusal, undefined);
      return undefined;
    }
    this.queuedBytes += call.weight;
    if (call.conn !== undefined && call.conn.phase !== "open") call.conn.held.push(call);
    else this.queue.push(call);
    this.watchWaiting();
    this.stir();
    return call;
  }

  private refusal(call: Call): ActorError | undefined {
    const queued = this.queuedBytes + this.channels.excessBytes;
    if (this.closed) return raise("client.closed");
    if (call.target.invalid !== undefined) return call.target.invalid;
    if (call.conn?.phase === "closed") return call.conn.closedError();
    if (queued > 0 && queued + call.weight > this.settings.maxQueuedBytes) {
      return raise("session.too_many_calls", `Calls of ${queued} bytes wait for the gateway already.`);
    }
    return undefined;
  }

  /** stir sees to it that something happens: it wakes the writer, or has a socket opened. */
  stir(): void {
    if (this.phase !== "down") return this.driver.wake();
    if (this.needsSocket) this.driver.start();
    this.driver.ref(this.busy);
  }

  /** watchWaiting sees to it that what waits now does not wait for ever. */
  watchWaiting(): void {
    this.waiting.watch();
  }

  /** needsSocket tells whether there is a reason to have a socket, or to come back. */
  get needsSocket(): boolean {
    if (this.closed) return false;
    return this.connections.attached.size > 0 || this.anyQueued() || this.resumeToken !== undefined;
  }

  /** busy tells whether anybody waits for something; else the client keeps no process alive. */
  get busy(): boolean {
    return this.connections.attached.size > 0 || this.unanswered.size > 0 || this.anyQueued();
  }

  anyQueued(): boolean {
    while (this.queue.peek()?.state === "done") this.queue.shift();
    return this.queue.length > 0;
  }

  /** abandon gives a call up, for the reason that its AbortSignal says. */
  abandon(call: Call, reason: unknown): void {
    const { state } = call;
    if (state === "done") return;
    if (state === "queued") {
      this.dequeue(call, interrupted(reason, "no", this.phase === "ready" ? undefined : this.lastFault));
      return;
    }
    const channel = call.channel === undefined || call.channel.ended ? this.channels.zero : call.channel;
    this.send(channel, { kind: "cancelCall", id: call.id, connection: channel.number }); // [SESS-12]
    this.complete(call, interrupted(reason, "maybe", undefined));
  }

  /** dequeue ends a call that waits. */
  dequeue(call: Call, error: ActorError): void {
    if (call.conn?.held.remove(call) !== true) this.queue.remove(call);
    this.complete(call, error);
  }

  /** complete ends a call for its caller. error undefined: it has an output, or none. */
  complete(call: Call, error: ActorError | undefined, output?: Uint8Array): void {
    if (call.state === "done") return;
    if (call.state === "queued") this.queuedBytes -= call.weight;
    else this.unanswered.delete(call.id);
    call.state = "done";
    call.settle(error, output);
    this.stir();
  }

  /** fail ends a call that did not come to its end, saying whether it may have run. */
  private fail(call: Call, error: ActorError): void {
    this.complete(call, withRan(error, call.state === "queued" ? "no" : "maybe"));
  }

  /** failCalls ends the written calls that are meant; numbers grow, so it goes in their order. */
  failCalls(meant: (call: Call) => boolean, error: ActorError): void {
    for (const call of [...this.unanswered.values()]) if (meant(call)) this.fail(call, error);
  }

  /** send queues a message of the channel. */
  send(channel: Channel, message: Draft): void {
    this.outbound.control.push({ channel, message });
    this.stir();
  }

  /** hold takes the connection's calls out of the queue, to wait until it is open. */
  hold(conn: Connection): void {
    for (const call of this.queue.take()) (call.conn === conn ? conn.held : this.queue).push(call);
  }

  sizeError(message: Draft): ActorError | undefined {
    return limitError("max_message", this.codec.encode(message).length, this.limits?.maxMessage);
  }

  // What becomes of channels.

  strandCall(call: Call): void {
    this.complete(call, call.conn?.closedError() ?? raise("connection.closed", "", { ran: "no" }));
  }

  /** giveUp ends the calls of a channel that the gateway has lost. */
  giveUp(channel: Channel, error: ActorError): void {
    this.failCalls((call) => call.channel === channel, error);
    this.channels.dropKept(channel);
  }

  /** endChannel drops what is about a channel that has ended, and was not sent. */
  endChannel(channel: Channel): void {
    this.channels.strand(channel, this);
    this.outbound.drop(channel);
    this.connections.subscriptions.forget(channel);
  }

  // Sockets.

  /** begin starts on a new socket, with Hello. */
  begin(identity: Identity, way: Way): void {
    this.lapse();
    this.phase = "hello";
    this.way = way;
    this.lanes.on = way.lanes;
    this.resuming = this.resumeToken !== undefined;
    this.rejected = this.goodbye = undefined;
    this.left = false;
    this.outbound.reset();
    this.outbound.say({
      kind: "hello",
      ...identity,
      sdk: "stagedoor-js",
      sdkVersion: version,
      features: ["resume", "unreliable"],
      resume: this.resuming ? { token: this.resumeToken, received: this.channels.claim() } : undefined,
    });
    if (this.closed) this.part("connection.closed", "The client was closed.");
  }

  /** onWelcome: the session has begun, or goes on. */
  onWelcome(message: Welcome): void {
    if (this.phase === "ready") return this.log("error", "the gateway sent a second Welcome");
    const given = message.features.includes("resume") && message.resumeToken !== undefined;
    if (this.resuming && !message.resumed) this.lose(new Error("the gateway no longer has the session"));
    if (message.resumed && this.resuming) {
      if (!given) throw new Error("the gateway resumed the session without a token for the next time");
      const owner = { strandCall: (call: Call) => this.strandCall(call), lost: (channel: Channel) => this.giveUp(channel, raise("connection.closed")) };
      this.outbound.again = this.lanes.resume(this.channels.reconcile(message.received, owner), message.received);
    }
    this.phase = "ready";
    this.limits = message.limits;
    this.lastFault = undefined;
    this.keep(given ? message.resumeToken : undefined, message.resumeMs);
    this.driver.welcomed(message.pingMs || defaultPingMs);
    this.setTransport(this.way.transport);
    this.connections.onWelcome();
    this.log("debug", "session open", { session: message.session, gateway: message.gateway, resumed: message.resumed });
    this.stir();
  }

  private setTransport(transport: Transport): void {
    if (transport === this.transport) return;
    this.transport = transport;
    for (const conn of this.connections.attached) conn.inbox.tellTransport(transport);
  }

  /** keep notes whether, and how, the session can be resumed. */
  private keep(token: Uint8Array | undefined, resumeMs: number): void {
    this.resumeToken = token?.slice();
    if (token === undefined) return this.channels.stopKeeping();
    this.channels.keeping = true;
    this.resumeMs = resumeMs || defaultResumeMs;
    this.channels.ackSoon(); // it makes the token before this one void [SESS-16]
  }

  /** worthResuming tells whether the session holds more than a new one would. */
  private get worthResuming(): boolean {
    return this.channels.size > 0 || this.channels.zero.kept.length > 0 || this.outbound.control.length > 0 || this.unanswered.size > 0;
  }

  /** resumable tells whether the session outlives its socket. */
  get resumable(): boolean {
    return this.resumeToken !== undefined;
  }

  /** unreached takes note of an attempt that got no socket. */
  unreached(cause: unknown): void {
    this.lastFault = cause;
  }

  /**
   * end takes note that the socket is gone. If the session is over, written calls end with session.lost; all others wait.
   * moving: it was left for another that is open already, which nobody notices.
   */
  end(cause: unknown, moving = false): Next {
    const welcomed = this.phase === "ready";
    this.phase = "down";
    this.lastFault = cause;
    if (welcomed) {
      this.downSince = now();
      this.resumeUntil = this.downSince + this.resumeMs;
    }
    const { rejected, goodbye } = this;
    const retryAfterMs = rejected?.retryAfterMs ?? goodbye?.retryAfterMs ?? 0;
    const final = this.finalError();
    const ends = this.left || !this.resumable || !this.worthResuming || (goodbye !== undefined && goodbye.reconnect !== "same"); // [SESS-18]
    this.watchWaiting();
    if (!ends && final === undefined) {
      if (!moving) this.connections.pause();
      return { final: false, retryAfterMs, welcomed, resumable: true, elsewhere: false };
    }
    if (final !== undefined) this.giveUpAll(final);
    else this.lose(cause);
    return { final: final !== undefined, retryAfterMs, welcomed, resumable: false, elsewhere: false };
  }

  /** finalError is what the gateway said if it said not to come back. */
  private finalError(): ActorError | undefined {
    const { rejected, goodbye } = this;
    if (rejected !== undefined) return rejected.retryable ? undefined : rejected;
    return goodbye?.reconnect === "never" ? namedError(goodbye.code, goodbye.message) : undefined;
  }

  /** lapse ends the session that has been without socket for too long, and is in how many milliseconds it will have been. */
  lapse(): number | undefined {
    if (this.resumeToken === undefined || this.phase !== "down") return undefined;
    const left = this.resumeUntil - now();
    if (left > 0) return left;
    this.lose(this.lastFault);
    return undefined;
  }

  /** lose ends the session. Its calls can have run; its connections open again in the next one. */
  private lose(cause: unknown): void {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    this.failCalls(() => true, raise("session.lost", `The session was lost before the answer came${why}`, { cause }));
    this.connections.lose();
    this.connections.subscriptions.forget();
    this.channels.clear();
    this.outbound.clear();
    this.resumeToken = undefined;
  }

  /** close ends everything for good. What is written from now on ends with a Goodbye [FRAME-6]. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const conn of this.connections.attached) conn.inbox.mute();
    this.giveUpAll(raise("client.closed"));
    this.waiting.stop();
    this.part("connection.closed", "The client was closed.");
  }

  /** part ends the socket from this side, and the session with it [FRAME-6]. */
  part(code: string, message: string): void {
    this.left = true;
    this.outbound.bid(code, message);
    if (this.phase !== "down") this.driver.wake();
  }

  /** giveUpAll ends all calls and connections, and the session. */
  giveUpAll(error: ActorError): void {
    this.failCalls(() => true, error);
    for (const call of this.queue.take()) this.fail(call, error);
    for (const conn of [...this.connections.attached]) this.connections.finish(conn, error);
    this.lose(error);
  }

  /** onDatagram takes what came as a datagram; a Ping is answered the way it came [SESS-21]. */
  onDatagram(message: Message): void {
    if (message.kind === "ping") this.driver.datagram({ kind: "pong", nonce: message.nonce, nowMs: Date.now() });
    else if (message.kind === "pong" || message.kind === "unreliableEvent") this.inbound.handle(message);
  }

  /** ponged: an answer to a Ping has come. */
  ponged(nonce: bigint): void {
    this.driver.ponged(nonce);
  }

  log(level: "debug" | "info" | "warn" | "error", message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.settings.log(level, message, fields);
  }
}
