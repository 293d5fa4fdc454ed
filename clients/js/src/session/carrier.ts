import { openSocket } from "#websocket";
import { connectUrl } from "../endpoint.ts";
import type { Endpoint } from "../endpoint.ts";
import { messageOf, raise } from "../error.ts";
import type { Settings } from "../options.ts";
import type { Socket } from "../socket/socket.ts";
import { after } from "../timer.ts";
import { now } from "./call.ts";
import { FarewellError } from "./inbound.ts";
import type { Session } from "./session.ts";

/** highWaterBytes is how much may wait in the socket itself before the rest waits in the session. */
const highWaterBytes = 1 << 20;
/** How often to look whether there is room again, which no WebSocket tells. */
const drainPollMs = 10;
/** partingMs bounds how long a Goodbye waits for a peer that does not read. */
const partingMs = 1000;

/** Carrier carries a session over one socket. */
export class Carrier {
  /** Resolves with the cause when the socket is over. */
  readonly over: Promise<Error>;
  opened = false;
  private readonly session: Session;
  private readonly settings: Settings;
  private readonly socket: Socket;
  private readonly resolve: (cause: Error) => void;
  private done = false;
  private scheduled = false;
  private heardAt = now();
  private pinged = 0;
  private timer: ReturnType<typeof setTimeout>;
  private drainTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(session: Session, settings: Settings, endpoint: Endpoint) {
    this.session = session;
    this.settings = settings;
    const { promise, resolve } = deferred<Error>();
    this.over = promise;
    this.resolve = resolve;
    const { subprotocol } = session.codec;
    this.socket = openSocket(
      { url: connectUrl(endpoint), subprotocol, maxMessageBytes: settings.maxMessageBytes },
      {
        opened: () => this.onOpen(endpoint),
        message: (data) => this.onMessage(data),
        closed: (reason, unreadable) => this.onClosed(reason, unreadable),
      },
    );
    this.timer = setTimeout(() => this.silence(new Error("the gateway sent no Welcome in time")), settings.connectTimeoutMs);
  }

  private onOpen(endpoint: Endpoint): void {
    if (this.done) return;
    this.opened = true;
    this.session.begin(endpoint);
    this.wake();
  }

  private onMessage(data: Uint8Array | string): void {
    if (this.done) return;
    this.heardAt = now();
    this.pinged = 0;
    try {
      this.session.inbound.receive(this.session.codec.decode(data, this.settings.maxMessageBytes));
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(messageOf(error));
      if (cause instanceof FarewellError) this.end(cause);
      else this.part(cause, "request.invalid_frame"); // what came would come again with the session
      return;
    }
    this.socket.ref(this.session.busy);
  }

  /** What could not be read would come again with the session. */
  private onClosed(reason: string, unreadable: boolean): void {
    if (unreadable) this.session.left = true;
    this.end(new Error(reason));
  }

  /** wake writes soon, all that is said until then in one go. */
  wake(): void {
    if (this.scheduled || this.done || !this.opened) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.write();
    });
  }

  private write(): void {
    if (this.done || this.drainTimer !== undefined) return;
    this.socket.ref(this.session.busy);
    while (this.socket.bufferedBytes < highWaterBytes) {
      const data = this.session.outbound.take();
      if (data === undefined) return;
      this.socket.send(data);
    }
    this.drainTimer = setTimeout(() => {
      this.drainTimer = undefined;
      this.write();
    }, drainPollMs);
  }

  /** keepAlive sends a Ping after each interval of silence, and gives the socket up after the third [SESS-5]. */
  keepAlive(pingMs: number): void {
    clearTimeout(this.timer);
    this.timer = after(
      Math.max(1, (this.pinged + 1) * pingMs - (now() - this.heardAt)),
      () => {
        const silentMs = now() - this.heardAt;
        if (silentMs >= 3 * pingMs) return this.silence(raise("session.ping_timed_out"));
        if (silentMs >= (this.pinged + 1) * pingMs) {
          this.pinged++;
          this.session.outbound.say({ kind: "ping", nonce: BigInt(this.pinged) });
          this.wake();
        }
        this.keepAlive(pingMs);
      },
    );
    (this.timer as { unref?: () => void }).unref?.(); // the socket itself keeps a busy process alive
  }

  /** silence gives a socket up on which nothing comes. A Goodbye would end a session that can be resumed [SESS-18]. */
  private silence(cause: Error): void {
    if (this.opened && !this.session.resumable) this.part(cause, "session.ping_timed_out");
    else this.end(cause);
  }

  /** part says goodbye, which ends the session, too. */
  private part(cause: Error, code: string): void {
    this.session.part(code, cause.message);
    this.write();
    this.end(cause);
  }

  /** closing: the client was closed. What is queued, which ends with a Goodbye, goes out before. */
  closing(): void {
    if (this.done) return;
    const cause = raise("client.closed");
    if (!this.opened) return this.end(cause);
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
    clearTimeout(this.timer);
    clearTimeout(this.drainTimer);
    this.socket.close();
    this.resolve(cause);
  }
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
