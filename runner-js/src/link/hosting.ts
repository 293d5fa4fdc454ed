import type { ConnectionOptions } from "node:tls";
import type { ActorError } from "../error.ts";
import { FEATURES, PROTOCOL_MAX, PROTOCOL_MIN } from "../wire/features.ts";
import { malformed, WireFault } from "../wire/fault.ts";
import type { Hello, Welcome } from "../wire/messages.ts";
import { offer, setAdrift, type Adrift } from "./adrift.ts";
import { Backoff } from "./backoff.ts";
import { MAX_TIMEOUT_MS } from "./clock.ts";
import { Dialog, type Ending, type Owner } from "./dialog.ts";
import { Drainer } from "./drain.ts";
import { HANDSHAKE_TIMEOUT_MS, type Endpoint } from "./endpoint.ts";
import type { LinkLog } from "./log.ts";
import type { Host } from "./port.ts";
import { Session } from "./session.ts";

const SDK = "js";
const SDK_VERSION = "0.1.0";

/** Identity is who the runner is, and where. */
export interface Identity {
  readonly endpoint: Endpoint;
  readonly token: string;
  readonly pool: string;
  readonly instance: string;
  readonly version: number;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly tls: ConnectionOptions | undefined;
}

/** Hosting goes from socket to socket, and keeps the session and the actors in between. */
export class Hosting implements Owner {
  readonly host: Host;
  readonly log: LinkLog;
  /** Called behind the first Welcome. */
  onReady: (() => void) | undefined;

  private readonly identity: Identity;
  private readonly signal: AbortSignal;
  private readonly drainer: Drainer;
  private readonly backoff = new Backoff();
  private session: Session | undefined;
  /** Of lost sessions: to be offered to the next one. */
  private adrift: Adrift[] = [];
  /** When an attempt was last made at once. */
  private hurriedMs: number | undefined;

  constructor(identity: Identity, host: Host, log: LinkLog, signal: AbortSignal, drainTimeoutMs: number) {
    this.identity = identity;
    this.host = host;
    this.log = log;
    this.signal = signal;
    this.drainer = new Drainer(drainTimeoutMs);
  }

  /** serve makes one link after another until the signal is given; it throws what is final [LINK-5]. */
  async serve(): Promise<void> {
    try {
      for (let last = false; ; ) {
        const ending = await this.connect();
        if (this.signal.aborted) {
          if (isQuiet(ending) || this.session === undefined || last) return;
          last = true; // one attempt to go on, so that the actors can be handed over
          continue;
        }
        if (ending.farewell?.final === true) throw ending.farewell.cause;
        await this.pause(ending);
      }
    } finally {
      this.end();
    }
  }

  private async pause(ending: Ending): Promise<void> {
    const cause: ActorError | undefined = ending.farewell?.cause;
    let waitMs = ending.farewell?.retryAfterMs ?? 0;
    if (waitMs === 0 && !this.hurry()) waitMs = this.backoff.nextMs();
    const { shown } = this.identity.endpoint;
    const error = cause === undefined ? ending.reason : `${cause.group}.${cause.code}: ${cause.message}`;
    this.log.warn("no link to the gateway", { endpoint: shown, error, retryInMs: Math.round(waitMs) });
    await sleep(waitMs, this.signal);
  }

  /** hurry: the next attempt is made at once if actors wait for it, and the last such attempt is not just over [LINK-11]. */
  private hurry(): boolean {
    if (this.session === undefined && this.adrift.length === 0) return false;
    const nowMs = performance.now();
    if (this.hurriedMs !== undefined && nowMs - this.hurriedMs < this.backoff.longestMs) return false;
    this.hurriedMs = nowMs;
    return true;
  }

  /** connect makes a socket and serves it to its end. */
  private async connect(): Promise<Ending> {
    if (this.session?.lease.ended() === true) this.lose();
    const { session: asked, signal } = this;
    if (signal.aborted && asked === undefined) return {};
    const { endpoint, token, tls } = this.identity;
    const patienceMs = asked === undefined || !signal.aborted ? HANDSHAKE_TIMEOUT_MS : asked.terms.resumeMs;
    const d = new Dialog(this, endpoint.dial(token, tls), this.hello(), asked, patienceMs);
    const stop = () => {
      if (d.session !== undefined) this.drain(d, d.session);
      else if (asked === undefined) d.close({}); // else its actors are to be handed over
    };
    d.onServing = (s) => {
      if (signal.aborted) this.drain(d, s);
      this.onReady?.();
      this.onReady = undefined;
    };
    signal.addEventListener("abort", stop);
    const ending = await d.ended;
    signal.removeEventListener("abort", stop);
    this.left(d, ending);
    return ending;
  }

  private left(d: Dialog, ending: Ending): void {
    const s = d.session;
    if (s === undefined) return;
    s.detach();
    if (isQuiet(ending)) return;
    if (d.isOver || !s.features.has("resume") || s.lease.ended()) this.lose();
  }

  private drain(d: Dialog, s: Session): void {
    this.drainer.onOver = () => {
      d.bye("runner.draining", "The runner is shutting down.", "");
      d.close({});
    };
    this.drainer.start(s);
  }

  /** hello says who the runner is, and what it has of a session that it wants to go on with. */
  private hello(): Hello {
    const { token, pool, instance, version, region, labels } = this.identity;
    const s = this.session;
    this.adrift = this.adrift.filter((a) => !a.isOver);
    const hosting = s !== undefined && s.features.has("adopt") && s.actors.size + s.offers.size > 0;
    return {
      kind: "hello",
      protocolMin: PROTOCOL_MIN,
      protocolMax: PROTOCOL_MAX,
      features: FEATURES,
      token,
      pool,
      instance,
      runnerVersion: version,
      region,
      labels,
      sdk: SDK,
      sdkVersion: SDK_VERSION,
      types: this.host.types,
      resume: s === undefined || !s.features.has("resume") ? undefined : { session: s.id, received: s.state.received },
      hosting: hosting || this.adrift.length > 0,
    };
  }

  /** welcome goes on with the session that Hello asked for, or begins another one [LINK-16] [LINK-17]. */
  welcome(m: Welcome, d: Dialog): Session {
    const { shown } = this.identity.endpoint;
    if (m.resumedReceived !== undefined) {
      const s = d.asked;
      if (s === undefined || !Buffer.from(s.id).equals(m.session)) throw malformed("a session resumed that was not asked for");
      d.session = s; // so that it is lost if it cannot go on
      if (s.lease.ended()) throw new WireFault("lost", "the runner's lease has ended");
      s.attach(d.outlet, m.resumedReceived);
      this.backoff.welcome(m.backoffMinMs, m.backoffMaxMs);
      this.log.info("linked to the gateway again", { endpoint: shown });
      return s;
    }
    const s = new Session(m, d.helloAt, this.log);
    this.begin(s, d.hello.hosting);
    s.begin(d.outlet);
    this.backoff.welcome(m.backoffMinMs, m.backoffMaxMs);
    this.log.info("linked to the gateway", { endpoint: shown, gateway: m.gateway, runner: m.runner });
    return s;
  }

  /** begin replaces the session by a new one, to which the actors of the old one are offered, if that was announced [LINK-19]. */
  private begin(s: Session, announced: boolean): void {
    this.lose();
    this.session = s;
    const { adrift } = this;
    this.adrift = [];
    if (announced && s.features.has("adopt")) offer(s, adrift);
    else for (const a of adrift) a.drop();
  }

  /** lose ends the session. Its actors wait to be adopted. */
  private lose(): void {
    const s = this.session;
    this.session = undefined;
    if (s !== undefined) this.adrift.push(...setAdrift(s));
  }

  /** end drops what is left. */
  private end(): void {
    this.drainer.stop();
    const { session } = this;
    session?.end();
    for (const port of session?.actors.values() ?? []) port.seat?.drop();
    for (const a of [...(session?.offers.values() ?? []), ...this.adrift]) a.drop();
    this.session = undefined;
    this.adrift = [];
  }
}

/** isQuiet: the runner has closed the socket because it was asked to. */
function isQuiet(e: Ending): boolean {
  return e.farewell === undefined && e.reason === undefined;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, MAX_TIMEOUT_MS));
    if (signal.aborted) done();
    else signal.addEventListener("abort", done);
  });
}
