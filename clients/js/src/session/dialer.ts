// Which transport a client takes: the best that works [SESS-19].

import { messageOf, raise } from "../error.ts";
import type { Settings } from "../options.ts";
import { fetchHashes, fetchMetadata } from "../socket/hashes.ts";
import type { Hashes } from "../socket/hashes.ts";
import type { SocketEvents, WayOptions } from "../socket/socket.ts";
import { openSse } from "../socket/sse.ts";
import { openWebSocket } from "../socket/websocket.ts";
import { hasWebTransport, openWebTransport } from "../socket/webtransport.ts";
import type { Transport } from "../types.ts";
import type { Codec } from "../wire/codec.ts";
import { openLine } from "./line.ts";
import type { Line } from "./line.ts";
import { barredMs, noteFailure } from "./memory.ts";

/** headStartMs is how long WebTransport is tried alone. */
const headStartMs = 300;
/** chanceMs is how long a WebSocket that is open waits for it in all, from the beginning. */
const chanceMs = 500;
/** mostRefusals is how many WebSockets in a row may fail to open before requests are tried instead. */
const mostRefusals = 3;

/** Dialed is what came of dialing. */
export interface Dialed {
  readonly line: Line;
  /** A better one that is still on its way; undefined in the end: it did not come. */
  readonly late?: Promise<Line | undefined>;
}

type Outcome = { readonly line: Line } | { readonly line?: undefined; readonly error: unknown };

/** Dialer opens the sockets of one client. */
export class Dialer {
  private readonly settings: Settings;
  private readonly codec: Codec;
  /** WebSockets in a row that did not open. */
  private refusals = 0;
  /** Of the certificates that were needed last. */
  private hashes: { readonly base: string; readonly list: Hashes } | undefined;

  constructor(settings: Settings, codec: Codec) {
    this.settings = settings;
    this.codec = codec;
  }

  /** dial opens a socket by the best transport that works; it fails as the last one that was tried. */
  async dial(base: string, signal: AbortSignal): Promise<Dialed> {
    const { transport } = this.settings;
    if (transport !== "auto") return { line: await this.open(transport, base, signal) };
    if (barredMs(base, "websocket") > 0) return { line: await this.open("sse", base, signal) };
    if (!this.mayClimb || barredMs(base, "webtransport") > 0) return { line: await this.lower(base, signal) };
    return this.race(base, signal);
  }

  /** climbsTo is the transport to go back up to from another, and in how many milliseconds; undefined: it is the best. */
  climbsTo(from: Transport, base: string): { readonly transport: Transport; readonly inMs: number } | undefined {
    if (this.settings.transport !== "auto" || from === "webtransport" || (from === "websocket" && !this.mayClimb)) return undefined;
    const transport = from === "sse" ? "websocket" : "webtransport";
    return { transport, inMs: barredMs(base, transport) };
  }

  /** climb tries a transport that is better than the present one; undefined: it still fails. */
  async climb(transport: Transport, base: string, signal: AbortSignal): Promise<Line | undefined> {
    const { line } = await outcomeOf(this.open(transport, base, signal));
    if (line === undefined && !signal.aborted) noteFailure(base, transport);
    return line;
  }

  /** descend opens a socket by a lesser transport than WebTransport; undefined: none opens. */
  async descend(base: string, signal: AbortSignal): Promise<Line | undefined> {
    return (await outcomeOf(this.lower(base, signal))).line;
  }

  /** fallsBack tells whether there is another transport, if this one fails. */
  fallsBack(transport: Transport): boolean {
    return this.settings.transport === "auto" && transport === "webtransport";
  }

  private get mayClimb(): boolean {
    return hasWebTransport() && this.settings.encoding === "proto";
  }

  private async open(transport: Transport, base: string, signal: AbortSignal): Promise<Line> {
    const options: WayOptions = { base, codec: this.codec, maxMessageBytes: this.settings.maxMessageBytes };
    const via = (open: (events: SocketEvents) => Line["socket"]) => openLine(open, this.settings.connectTimeoutMs, signal);
    switch (transport) {
      case "webtransport":
        if (!hasWebTransport()) throw raise("request.unsupported", "There is no WebTransport on this platform.");
        return this.openWebTransport(base, signal, (hashes) => via((events) => openWebTransport(options, hashes, events)));
      case "websocket":
        return via((events) => openWebSocket(options, events));
      case "sse":
        return via((events) => openSse(options, events));
      default:
        return transport satisfies never;
    }
  }

  /** Without TLS only a gateway in development can be meant, whose certificate must be known; with TLS that is tried when nothing else helps [TLS-1]. */
  private async openWebTransport(base: string, signal: AbortSignal, open: (hashes: Hashes) => Promise<Line>): Promise<Line> {
    if (this.hashes?.base === base) return this.openPinned(base, open, this.hashes.list);
    if (base.startsWith("https:")) {
      const { line } = await outcomeOf(open([]));
      if (line !== undefined) return line;
    }
    const list = await fetchHashes(base, this.patient(signal));
    if (list.length === 0) throw new Error("the gateway has no certificate for WebTransport that can be relied on");
    return this.openPinned(base, open, list);
  }

  private async openPinned(base: string, open: (hashes: Hashes) => Promise<Line>, list: Hashes): Promise<Line> {
    this.hashes = { base, list };
    try {
      return await open(list);
    } catch (error) {
      this.hashes = undefined; // the certificate can be another by now
      throw error;
    }
  }

  /** race opens WebTransport, and a WebSocket when that takes long: UDP may be blocked without a word. */
  private async race(base: string, signal: AbortSignal): Promise<Dialed> {
    const upper = outcomeOf(this.open("webtransport", base, signal));
    const first = await within(headStartMs, upper);
    if (first?.line !== undefined) return { line: first.line };
    const lower = outcomeOf(this.lower(base, signal));
    const second = await within(chanceMs - headStartMs, upper);
    if (second?.line !== undefined) return this.won(second.line, lower);
    const winner = await Promise.race([lower, upper.then((outcome) => (outcome.line === undefined ? lower : outcome))]);
    if (winner.line === undefined) return this.last(await upper, winner.error);
    if (winner.line.socket.transport === "webtransport") return this.won(winner.line, lower);
    noteFailure(base, "webtransport");
    return { line: winner.line, late: upper.then(({ line }) => line) };
  }

  /** won drops the socket that is not needed any more. */
  private won(line: Line, loser: Promise<Outcome>): Dialed {
    void loser.then((outcome) => outcome.line?.socket.close());
    return { line };
  }

  private last(outcome: Outcome, error: unknown): Dialed {
    if (outcome.line !== undefined) return { line: outcome.line };
    throw error;
  }

  /** lower opens a WebSocket; where none opens again and again, while requests are answered, something on the way breaks upgrades. */
  private async lower(base: string, signal: AbortSignal): Promise<Line> {
    try {
      return await this.openWebSocket(base, signal);
    } catch (error) {
      if (this.refusals < mostRefusals || !(await this.answers(base, signal))) throw error;
    }
    try {
      return await this.openWebSocket(base, signal); // the gateway can have come back meanwhile
    } catch (error) {
      this.settings.log("warn", "no WebSocket opens, but requests are answered", { error: messageOf(error) });
      noteFailure(base, "websocket");
      return this.open("sse", base, signal);
    }
  }

  private async openWebSocket(base: string, signal: AbortSignal): Promise<Line> {
    this.refusals++;
    const line = await this.open("websocket", base, signal);
    this.refusals = 0;
    return line;
  }

  private answers(base: string, signal: AbortSignal): Promise<boolean> {
    return fetchMetadata(base, this.patient(signal)).then(
      () => true,
      () => false,
    );
  }

  private patient(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, AbortSignal.timeout(this.settings.connectTimeoutMs)]);
  }
}

/** outcomeOf is a promise that is never rejected. */
function outcomeOf(promise: Promise<Line>): Promise<Outcome> {
  return promise.then(
    (line) => ({ line }),
    (error: unknown) => ({ error }),
  );
}

/** within is what a promise brings in so many milliseconds; undefined: nothing. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
