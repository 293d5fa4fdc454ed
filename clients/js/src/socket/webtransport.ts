import { connectUrl } from "../endpoint.ts";
import { messageOf } from "../error.ts";
import { decodeDatagram } from "../wire/stream.ts";
import type { Message } from "../wire/messages.ts";
import { Lane } from "./lane.ts";
import type { DuplexStream } from "./lane.ts";
import type { Socket, SocketEvents, WayOptions } from "./socket.ts";

/** maxDatagramBytes bounds a datagram [SESS-21]. */
const maxDatagramBytes = 1024;
/** partingMs bounds how long a Goodbye waits for a gateway that does not take it. */
const partingMs = 1000;

/** Options of WebTransport that the types of TypeScript do not have yet. */
type Options = WebTransportOptions & { readonly protocols: readonly string[] };

/** hasWebTransport tells whether this platform has it. */
export function hasWebTransport(): boolean {
  return typeof WebTransport === "function";
}

/** openWebTransport opens a WebTransport session [SESS-19]: a lane for each channel. hashes: of the certificates to take; none: as the platform has it. */
export function openWebTransport(options: WayOptions, hashes: readonly Uint8Array<ArrayBuffer>[], events: SocketEvents): Socket {
  return new WebTransportSocket(options, hashes, events);
}

class WebTransportSocket implements Socket {
  readonly transport = "webtransport";
  readonly lanes = true;
  bufferedBytes = 0;
  private readonly session: WebTransport;
  private readonly maxMessageBytes: number;
  private readonly events: SocketEvents;
  private readonly open = new Map<number, Lane>();
  private datagrams: WritableStreamDefaultWriter<Uint8Array> | undefined;
  private over = false;

  constructor({ base, codec, maxMessageBytes }: WayOptions, hashes: readonly Uint8Array<ArrayBuffer>[], events: SocketEvents) {
    this.maxMessageBytes = maxMessageBytes;
    this.events = events;
    const options: Options = {
      protocols: [codec.subprotocol],
      ...(hashes.length > 0 && { serverCertificateHashes: hashes.map((value) => ({ algorithm: "sha-256", value })) }),
    };
    this.session = new WebTransport(connectUrl(base, "webtransport"), options);
    this.session.closed.then(
      ({ closeCode, reason }) => this.end(`the session was closed (${[closeCode, reason].filter(Boolean).join(" ")})`),
      (error: unknown) => this.end(messageOf(error)),
    );
    this.session.ready.then(
      () => this.begin(),
      (error: unknown) => this.end(messageOf(error)),
    );
  }

  send(data: Uint8Array<ArrayBuffer>, lane: number): void {
    if (!this.over) this.lane(lane).send(data);
  }

  finish(lane: number): void {
    const gone = this.open.get(lane);
    this.open.delete(lane);
    void gone?.finish();
  }

  datagram(frame: Uint8Array<ArrayBuffer>): boolean {
    if (this.datagrams === undefined || frame.length > maxDatagramBytes) return false;
    this.datagrams.write(frame).catch(() => {}); // what is lost here may be lost
    return true;
  }

  close(): void {
    if (this.over) return;
    this.over = true;
    // Closing a session resets its streams; so the last words on channel 0 arrive before.
    const leave = () => {
      clearTimeout(timer);
      try {
        this.session.close();
      } catch {
        // it was never there, or is gone
      }
    };
    const timer = setTimeout(leave, this.open.has(0) ? partingMs : 0);
    void this.open.get(0)?.finish().then(leave);
    this.session.closed.then(leave, leave);
  }

  ref(): void {}

  private begin(): void {
    if (this.over) return;
    const { readable, writable } = this.session.datagrams;
    this.datagrams = (writable as WritableStream<Uint8Array>).getWriter();
    void this.receive(readable as ReadableStream<Uint8Array>);
    this.events.opened();
  }

  private lane(number: number): Lane {
    const there = this.open.get(number);
    if (there !== undefined) return there;
    const stream = this.session.createBidirectionalStream() as Promise<DuplexStream>;
    const lane: Lane = new Lane(stream, this.maxMessageBytes, {
      frames: (frames) => this.events.frames(frames, number),
      unreadable: (error) => this.events.unreadable(error),
      buffered: (bytes) => {
        this.bufferedBytes += bytes;
      },
      lost: (reason) => this.onLost(number, reason),
      ended: () => {
        const reason = "the gateway ended the stream";
        if (number === 0) return this.onLost(0, reason);
        if (!this.events.laneLost(number, reason)) return; // finish follows
        lane.drop();
        this.open.delete(number);
      },
    });
    this.open.set(number, lane);
    return lane;
  }

  /** Without channel 0 there is no session [SESS-19]; that it ended can come before the session's own end, which says why. */
  private onLost(number: number, reason: string): void {
    this.open.delete(number);
    if (this.over) return;
    if (number !== 0) return void this.events.laneLost(number, reason);
    const late = setTimeout(() => this.end(reason), partingMs);
    const done = () => clearTimeout(late);
    this.session.closed.then(done, done);
  }

  private async receive(readable: ReadableStream<Uint8Array>): Promise<void> {
    const reader = readable.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.over) return;
        this.takeDatagram(value);
      }
    } catch {
      return; // with the session, which says so itself
    }
  }

  private takeDatagram(bytes: Uint8Array): void {
    let message: Message | { readonly kind: "unknown" };
    try {
      ({ message } = decodeDatagram(bytes));
    } catch {
      return; // it is passed over [SESS-21]
    }
    if (message.kind !== "unknown") this.events.datagram(message);
  }

  private end(reason: string): void {
    if (this.over) return;
    this.over = true;
    for (const lane of this.open.values()) lane.drop();
    this.events.closed(reason);
    try {
      this.session.close();
    } catch {
      // it is gone
    }
  }
}
