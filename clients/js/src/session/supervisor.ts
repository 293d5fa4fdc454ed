// Gives a session its sockets, one after the other, while something needs one.

import type { Endpoint, EndpointSource } from "../endpoint.ts";
import { messageOf } from "../error.ts";
import { pauseMs } from "../options.ts";
import type { Settings } from "../options.ts";
import { json, proto } from "../wire/codec.ts";
import { now } from "./call.ts";
import { Carrier } from "./carrier.ts";
import { Session } from "./session.ts";
import type { Driver, Next } from "./session.ts";

/** Supervisor runs a session. */
export class Supervisor implements Driver {
  readonly session: Session;
  private readonly settings: Settings;
  private readonly source: EndpointSource;
  private active = false;
  private running: Promise<void> | undefined;
  private carrier: Carrier | undefined;
  private stopPause: (() => void) | undefined;

  constructor(settings: Settings, source: EndpointSource) {
    this.settings = settings;
    this.source = source;
    this.session = new Session(settings, settings.encoding === "json" ? json : proto, this);
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
    this.carrier?.keepAlive(pingMs);
  }

  /** close ends the session, and waits until the socket is gone: at most about a second. */
  async close(): Promise<void> {
    this.session.close();
    this.stopPause?.();
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
      const atOnce = next.resumable && attempt === 1;
      await this.pause(next.retryAfterMs + (atOnce ? 0 : pauseMs(this.settings, attempt)));
    }
  }

  /** keepsOn tells whether to go on; if not, the next need starts again. */
  private keepsOn(): boolean {
    this.active = this.session.needsSocket;
    return this.active;
  }

  /** serve lives through one socket, or the attempt to get one. */
  private async serve(): Promise<Next> {
    const none: Next = { final: false, retryAfterMs: 0, welcomed: false, resumable: this.session.resumable };
    let endpoint: Endpoint;
    try {
      endpoint = await within(this.source.get(), this.settings.connectTimeoutMs);
    } catch (error) {
      this.unreached(error);
      return none;
    }
    if (!this.session.needsSocket) return none;
    let carrier: Carrier;
    try {
      carrier = new Carrier(this.session, this.settings, endpoint);
    } catch (error) {
      this.unreached(error); // a page of https may not open a socket without TLS
      return none;
    }
    this.carrier = carrier;
    const cause = await carrier.over;
    this.carrier = undefined;
    if (!carrier.opened) {
      this.source.forget();
      this.unreached(cause);
      return none;
    }
    const next = this.session.end(cause);
    this.session.log("info", "socket lost", { error: messageOf(cause), resumable: next.resumable });
    return next;
  }

  private unreached(cause: unknown): void {
    this.session.unreached(cause);
    this.session.log("warn", "no session", { error: messageOf(cause) });
  }

  private async pause(ms: number): Promise<void> {
    if (!this.session.needsSocket) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.stopPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.stopPause = undefined;
  }
}

/** within bounds a wait. */
async function within<T>(wait: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the endpoint was not found in time")), ms);
  });
  try {
    return await Promise.race([wait, late]);
  } finally {
    clearTimeout(timer);
  }
}
