// One socket's life: Hello, Welcome, the frames of a session, and the end, which the session may outlive.
import { decode } from "../wire/decode.ts";
import { malformed, WireFault } from "../wire/fault.ts";
import { Envelope } from "../wire/frame.ts";
import * as kinds from "../wire/kinds.ts";
import type { Goodbye, Hello, Reconnect, Welcome } from "../wire/messages.ts";
import { now, type Instant } from "./clock.ts";
import { Deliverer } from "./deliver.ts";
import { farewellOf, type Farewell } from "./farewell.ts";
import type { LinkLog } from "./log.ts";
import { Outlet } from "./outlet.ts";
import type { Host } from "./port.ts";
import type { Session } from "./session.ts";
import type { Receiver, Socket } from "./socket.ts";

/** How long a peer may take to read what is written before a close. */
const CLOSE_WAIT_MS = 1_000;
const MAX_MESSAGE = 16 << 20;
const MAX_GOODBYE_TEXT = 512;

/** Ending says how a socket ended. */
export interface Ending {
  /** What the gateway said last. */
  readonly farewell?: Farewell | undefined;
  /** What went wrong; neither: the runner closed it because it was asked to. */
  readonly reason?: string | undefined;
}

/** Owner is what a dialog asks of the Hosting. */
export interface Owner {
  readonly host: Host;
  readonly log: LinkLog;
  /** welcome gives the session that goes on or begins; what it throws is a fault. */
  welcome(m: Welcome, d: Dialog): Session;
}

export class Dialog implements Receiver {
  readonly outlet: Outlet;
  /** Of Hello. */
  helloAt: Instant = now();
  readonly hello: Hello;
  /** The session that Hello asked for. */
  readonly asked: Session | undefined;
  session: Session | undefined;
  /** One side has said Goodbye: the session is not resumed [LINK-6]. */
  isOver = false;
  /** Resolves when nothing is read or written any more. */
  readonly ended: Promise<Ending>;
  /** Called behind Welcome. */
  onServing: ((s: Session) => void) | undefined;

  private readonly owner: Owner;
  private readonly socket: Socket;
  private readonly envelope = new Envelope();
  private deliverer: Deliverer | undefined;
  private farewell: Farewell | undefined;
  private ending: Ending | undefined;
  private finish!: (e: Ending) => void;
  private heard = false;
  private silentMs = 0;
  private timer: NodeJS.Timeout;
  private closeTimer: NodeJS.Timeout | undefined;
  private readAtMs = 0;

  /** Until Welcome it waits patienceMs. */
  constructor(owner: Owner, socket: Socket, hello: Hello, asked: Session | undefined, patienceMs: number) {
    this.owner = owner;
    this.socket = socket;
    this.hello = hello;
    this.asked = asked;
    this.outlet = new Outlet(socket);
    this.ended = new Promise((resolve) => (this.finish = resolve));
    this.timer = setTimeout(() => this.close({ reason: `no Welcome within ${patienceMs} ms` }), patienceMs);
    socket.start(this);
  }

  // Receiver.

  opened(): void {
    this.helloAt = now();
    this.outlet.first(this.hello);
  }

  limit(): number {
    return this.session?.limits.maxMessage ?? MAX_MESSAGE;
  }

  frame(buf: Buffer, start: number, end: number): void {
    if (this.ending !== undefined) return; // the socket was left
    this.heard = true;
    this.envelope.read(buf, start, end);
    if (this.session === undefined) return this.handshake();
    if (this.envelope.kind === kinds.GOODBYE) return this.onGoodbye(decode(this.envelope) as Goodbye);
    this.deliverer?.take(this.envelope, this.readAtMs);
  }

  /** batch is told when frames begin and end that came at once. */
  batch(begins: boolean): void {
    if (begins) this.readAtMs = performance.now();
    else this.session?.acknowledge();
  }

  fault(err: unknown): void {
    const { log } = this.owner;
    const { name, message } = err instanceof Error ? err : new Error(String(err));
    const lost = err instanceof WireFault && err.fault === "lost";
    if (lost) log.warn("the session cannot go on", { error: message });
    else log.error("the gateway broke the protocol", { error: message, name });
    const text = err instanceof WireFault ? message.slice(0, MAX_GOODBYE_TEXT) : "The runner has failed.";
    this.bye(lost ? "runner.session_lost" : "internal.error", text, "same");
    this.close({ reason: message });
  }

  closed(err: Error): void {
    clearTimeout(this.timer);
    clearInterval(this.timer);
    clearTimeout(this.closeTimer);
    this.outlet.kill();
    this.ending ??= this.farewell === undefined ? { reason: err.message } : { farewell: this.farewell };
    this.finish(this.ending);
  }

  // The handshake [LINK-1].

  private handshake(): void {
    const m = decode(this.envelope);
    switch (m?.kind) {
      case "welcome":
        return this.onWelcome(m);
      case "reject":
        this.farewell = farewellOf(m);
        return; // the gateway closes the socket
      case "goodbye":
        return this.onGoodbye(m);
      default:
        throw malformed(`kind ${this.envelope.kind} before Welcome`);
    }
  }

  private onWelcome(m: Welcome): void {
    const s = this.owner.welcome(m, this);
    this.session = s;
    this.deliverer = new Deliverer(s, this.owner.host);
    clearTimeout(this.timer);
    this.timer = setInterval(() => this.tick(s), s.terms.pingMs);
    if (this.asked === s) this.ping(s); // its lease has not been renewed for a while
    this.onServing?.(s);
  }

  /** onGoodbye ends the session, or only the socket if the session goes on over another one [LINK-6]. */
  private onGoodbye(m: Goodbye): void {
    if (m.code === "runner.superseded") return;
    this.isOver = true;
    this.farewell = farewellOf(m);
  }

  // Pings and the end.

  /**
   * tick counts silence by its own number, not by the clock: where user code has held the thread for long, what came meanwhile
   * is read before the next one [LINK-7].
   */
  private tick(s: Session): void {
    this.silentMs = this.heard ? 0 : this.silentMs + s.terms.pingMs;
    this.heard = false;
    if (s.lease.ended()) {
      this.bye("runner.session_lost", "The runner's lease has ended.", "same");
      this.close({ reason: "the runner's lease has ended" });
    } else if (this.silentMs < s.terms.lostMs) {
      this.ping(s);
    } else {
      // With resume without Goodbye, so that the session goes on.
      if (!s.features.has("resume")) this.bye("runner.ping_timed_out", "The gateway stopped answering.", "same");
      this.abandon("the gateway stopped answering");
    }
  }

  private ping(s: Session): void {
    this.outlet.first({ kind: "ping", nonce: s.lease.ask() });
  }

  /** bye says Goodbye, with which the session is over [LINK-6]. */
  bye(code: string, message: string, reconnect: Reconnect): void {
    this.isOver = true;
    this.outlet.first({ kind: "goodbye", code, message, retryAfterMs: 0, reconnect, address: "" });
  }

  /** close closes the socket once what is queued was written, or the peer does not read. */
  close(ending: Ending): void {
    if (this.ending !== undefined) return;
    this.ending = ending;
    this.closeTimer = setTimeout(() => this.outlet.kill(), CLOSE_WAIT_MS);
    this.outlet.end();
  }

  private abandon(reason: string): void {
    if (this.isOver) return this.close({ reason });
    this.ending ??= { reason };
    this.outlet.kill();
  }
}
