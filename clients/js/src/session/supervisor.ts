// Gives a session its sockets, one after the other, while something needs one.

import type { Endpoint, EndpointSource } from "../endpoint.ts";
import { ActorError, messageOf, raise } from "../error.ts";
import { pauseMs } from "../options.ts";
import type { Settings } from "../options.ts";
import { after } from "../timer.ts";
import { json, proto } from "../wire/codec.ts";
import type { Draft } from "../wire/messages.ts";
import { now } from "./call.ts";
import { Carrier } from "./carrier.ts";
import { Climb } from "./climb.ts";
import { Dialer } from "./dialer.ts";
import type { Dialed } from "./dialer.ts";
import { noteFailure, noteSuccess } from "./memory.ts";
import { Session } from "./session.ts";
import type { Driver, Next } from "./session.ts";

/** Supervisor runs a session. */
export class Supervisor implements Driver {
  readonly session: Session;
  private readonly settings: Settings;
  private readonly source: EndpointSource;
  private readonly dialer: Dialer;
  private readonly climb: Climb;
  private readonly closed = new AbortController();
  private active = false;
  private running: Promise<void> | undefined;
  private carrier: Carrier | undefined;
  /** What is waited for besides a socket: the endpoint, or the end of a pause. */
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Ends that wait. */
  private interrupt: (() => void) | undefined;

  constructor(settings: Settings, source: EndpointSource) {
    this.settings = settings;
    this.source = source;
    this.session = new Session(settings, settings.encoding === "json" ? json : proto, this);
    this.dialer = new Dialer(settings, this.session.codec);
    this.climb = new Climb(this.session, this.dialer, this.closed.signal);
  }

  start(): void {
    if (this.active) return;
    this.active = true;
    this.running = this.run();
  }

  wake(): void {
    this.carrier?.wake();
  }

  welcomed(pingMs: number): void {
    this.carrier?.welcomed(pingMs);
  }

  ponged(nonce: bigint): void {
    this.carrier?.ponged(nonce);
  }

  datagram(message: Draft): void {
    this.carrier?.sendDatagram(message);
  }

  ref(busy: boolean): void {
    const timer = this.timer as { ref?: () => void; unref?: () => void } | undefined; // elsewhere than in Node a number
    if (busy) timer?.ref?.();
    else timer?.unref?.();
  }

  /** close ends the session, and waits until the socket is gone: at most about a second. */
  async close(): Promise<void> {
    this.session.close();
    this.source.close();
    this.interrupt?.();
    this.closed.abort(raise("client.closed"));
    this.carrier?.closing();
    await this.running;
  }

  private async run(): Promise<void> {
    await Promise.resolve(); // what is said in this turn goes in the first write
    for (let attempt = 1; this.keepsOn(); attempt++) {
      const began = now();
      const next = await this.serve();
      if (next.welcomed && now() - began >= this.settings.backoffMaxMs) attempt = 1;
      if (next.final) {
        attempt = 0; // nothing is left; what comes now is new work
        continue;
      }
      if (next.elsewhere && next.retryAfterMs === 0) {
        attempt--; // which was none
        continue;
      }
      const atOnce = next.resumable && attempt === 1;
      await this.pause(next.retryAfterMs + (atOnce ? 0 : pauseMs(this.settings, attempt)));
    }
    this.climb.drop();
  }

  /** keepsOn tells whether to go on; if not, the next need starts again. */
  private keepsOn(): boolean {
    this.active = this.session.needsSocket;
    return this.active;
  }

  /** serve lives through one socket, or the attempt to get one. */
  private async serve(): Promise<Next> {
    const none: Next = { final: false, retryAfterMs: 0, welcomed: false, resumable: this.session.resumable, elsewhere: false };
    let endpoint: Endpoint;
    let dialed: Dialed;
    try {
      endpoint = await this.find();
      if (!this.session.needsSocket) return none;
      dialed = this.climb.take() ?? (await this.dial(endpoint));
    } catch (error) {
      if (this.session.closed) return none;
      this.unreached(error);
      if (!ActorError.is(error) || error.retryable) return none;
      this.session.giveUpAll(error); // it would be the same the next time
      return { ...none, final: true };
    }
    return this.carry(endpoint, dialed);
  }

  private async dial({ base }: Endpoint): Promise<Dialed> {
    try {
      return await this.dialer.dial(base, this.closed.signal);
    } catch (error) {
      this.source.forget();
      throw error;
    }
  }

  private async carry(identity: Endpoint, { line, late }: Dialed): Promise<Next> {
    const { base } = identity;
    const { transport } = line.socket;
    const onStall = this.dialer.fallsBack(transport) ? (stalled: Carrier) => void this.climb.down(stalled, base) : undefined;
    const carrier = new Carrier(this.session, { settings: this.settings, identity, line, onStall });
    this.carrier = carrier;
    void carrier.ready.then(() => noteSuccess(base, transport));
    void this.climb.from(carrier, base, late);
    const cause = await carrier.over;
    this.carrier = undefined;
    const unwelcome = onStall !== undefined && !carrier.welcome && this.session.rejected === undefined;
    if (unwelcome && !this.session.closed) noteFailure(base, transport);
    const next = this.session.end(cause, carrier.moved);
    if (!carrier.moved) this.session.log("info", "socket lost", { transport, error: messageOf(cause), resumable: next.resumable });
    return { ...next, elsewhere: unwelcome || carrier.moved };
  }

  private unreached(cause: unknown): void {
    this.session.unreached(cause);
    this.session.log("warn", "no session", { error: messageOf(cause) });
  }

  /** find is where the gateway is, if that is known in time. */
  private async find(): Promise<Endpoint> {
    const late = new Promise<never>((_, reject) => {
      this.wait(this.settings.connectTimeoutMs, () => reject(new Error("the endpoint was not found in time")));
      this.interrupt = () => reject(raise("client.closed"));
    });
    try {
      return await Promise.race([this.source.get(), late]);
    } finally {
      this.stopWaiting();
    }
  }

  private async pause(ms: number): Promise<void> {
    if (!this.session.needsSocket) return;
    await new Promise<void>((resolve) => {
      this.wait(ms, resolve);
      this.interrupt = resolve;
    });
    this.stopWaiting();
  }

  /** wait sets the timer, which keeps a process alive only while somebody waits for the session. */
  private wait(ms: number, then: () => void): void {
    this.timer = after(ms, then);
    this.ref(this.session.busy);
  }

  private stopWaiting(): void {
    clearTimeout(this.timer);
    this.timer = this.interrupt = undefined;
  }
}
