import { messageOf, raise } from "../error.ts";
import type { Settings } from "../options.ts";
import type { Socket, SocketEvents } from "../socket/socket.ts";
import type { Transport } from "../types.ts";
import type { Frame } from "../wire/frame.ts";
import { encodeDatagram } from "../wire/stream.ts";
import type { Draft, Message } from "../wire/messages.ts";
import { now } from "./call.ts";
import { FarewellError } from "./inbound.ts";
import type { Line } from "./line.ts";
import { Pulse } from "./pulse.ts";
import type { Heart } from "./pulse.ts";
import type { Identity, Session } from "./session.ts";

/**
 * highWaterBytes is how much may wait in the socket itself before the rest waits in the session. With lanes, one that is not
 * read must not stop the others: what is kept for the gateway bounds them together, see Outbound.
 */
const highWaterBytes = 1 << 20;
/** How often to look whether there is room again, which no WebSocket tells. */
const drainPollMs = 10;
/** partingMs bounds how long a Goodbye waits for a peer that does not read. */
const partingMs = 1000;

/** CarrierOptions is what a carrier needs besides the session. */
export interface CarrierOptions {
  readonly settings: Settings;
  readonly identity: Identity;
  readonly line: Line;
  /** Is called when nothing seems to get through, while another transport may; undefined: there is no other. */
  readonly onStall: ((carrier: Carrier) => void) | undefined;
}

/** Carrier carries a session over one socket, which is open. */
export class Carrier implements SocketEvents, Heart {
  /** Resolves with the cause when the socket is over. */
  readonly over: Promise<Error>;
  /** Resolves when Welcome has come. */
  readonly ready: Promise<void>;
  /** It was left for another socket, that is open already. */
  moved = false;
  /** It has got as far as Welcome. */
  welcome = false;
  private readonly session: Session;
  private readonly socket: Socket;
  private readonly pulse: Pulse;
  private readonly most: number;
  private readonly onStall: CarrierOptions["onStall"];
  private resolve!: (cause: Error) => void;
  private setReady!: () => void;
  private done = false;
  private scheduled = false;
  private drainTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(session: Session, { settings, identity, line, onStall }: CarrierOptions) {
    this.session = session;
    this.socket = line.socket;
    this.most = this.socket.lanes ? settings.maxQueuedBytes / 2 : highWaterBytes;
    this.over = new Promise((resolve) => {
      this.resolve = resolve;
    });
    this.ready = new Promise((resolve) => {
      this.setReady = resolve;
    });
    this.onStall = onStall;
    this.pulse = new Pulse(this, onStall !== undefined, settings.connectTimeoutMs);
    session.begin(identity, this.socket);
    this.wake();
    line.attach(this);
  }

  get transport(): Transport {
    return this.socket.transport;
  }

  opened(): void {}

  frames(frames: readonly Frame[], lane: number): void {
    if (this.done) return;
    this.pulse.heard();
    try {
      this.session.inbound.receive(frames, lane);
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(messageOf(error));
      if (cause instanceof FarewellError) this.end(cause);
      else this.unreadable(cause);
      return;
    }
    this.socket.ref(this.session.busy);
  }

  datagram(message: Message): void {
    if (this.done) return;
    this.pulse.heard();
    this.session.onDatagram(message);
  }

  laneLost(lane: number, reason: string): boolean {
    return !this.done && this.session.lanes.lost(lane, reason);
  }

  /** What could not be read would come again with the session. */
  unreadable(error: Error): void {
    if (!this.done) this.part(error, "request.invalid_frame");
  }

  closed(reason: string, unreadable = false): void {
    if (unreadable && !this.done) this.session.left = true;
    this.end(new Error(reason));
  }

  /** wake writes soon, all that is said until then in one go. */
  wake(): void {
    if (this.scheduled || this.done) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.write();
    });
  }

  private write(): void {
    if (this.done || this.drainTimer !== undefined) return;
    this.socket.ref(this.session.busy);
    while (this.socket.bufferedBytes < this.most) {
      const next = this.session.outbound.take();
      if (next === undefined) return;
      if (next.data === undefined) {
        this.socket.finish(next.lane);
        continue;
      }
      this.socket.send(next.data, next.lane);
      this.pulse.wrote();
    }
    this.drainTimer = setTimeout(() => {
      this.drainTimer = undefined;
      this.write();
    }, drainPollMs);
  }

  welcomed(pingMs: number): void {
    this.welcome = true;
    this.pulse.welcomed(pingMs);
    this.setReady();
  }

  ponged(nonce: bigint): void {
    this.pulse.ponged(nonce);
  }

  ping(nonce: bigint, sure: boolean): void {
    const message: Draft = { kind: "ping", nonce };
    if (!sure && this.sendDatagram(message)) return;
    this.session.outbound.say(message);
    this.wake();
  }

  /** sendDatagram sends what may be lost; false: the socket has no way to. */
  sendDatagram(message: Draft): boolean {
    if (this.done || !this.socket.lanes || !this.socket.datagram(encodeDatagram(message))) return false;
    this.pulse.wrote();
    return true;
  }

  /** silent gives a socket up on which nothing comes. A Goodbye would end a session that can be resumed [SESS-18]. */
  silent(cause: Error): void {
    if (this.session.resumable) this.end(cause);
    else this.part(cause, "session.ping_timed_out");
  }

  stalled(): void {
    this.onStall?.(this);
  }

  /** Whether nothing has come since that was told. */
  get isStalled(): boolean {
    return !this.done && this.pulse.isStalled;
  }

  /** part says goodbye, which ends the session, too. */
  private part(cause: Error, code: string): void {
    this.session.part(code, cause.message);
    this.write();
    this.end(cause);
  }

  /** leave goes from the socket, without a word [FRAME-6]: the session goes on with another. */
  leave(): void {
    this.moved = !this.done;
    this.end(new Error("the session has moved to another socket"));
  }

  /** closing: the client was closed. What is queued, which ends with a Goodbye, goes out before. */
  closing(): void {
    if (this.done) return;
    const cause = raise("client.closed");
    this.write();
    const deadline = now() + partingMs;
    const look = () => {
      if (this.socket.bufferedBytes === 0 || now() >= deadline) this.end(cause);
      else setTimeout(look, drainPollMs);
    };
    look();
  }

  private end(cause: Error): void {
    if (this.done) return;
    this.done = true;
    this.pulse.stop();
    clearTimeout(this.drainTimer);
    this.socket.close();
    this.resolve(cause);
  }
}
