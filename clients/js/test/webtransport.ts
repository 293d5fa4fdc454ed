// A gateway's end of WebTransport in the hands of a test, in this process: for what a real one cannot be brought to do.
import { decodeDatagram, encodeDatagram, FrameReader } from "../src/wire/stream.ts";
import { encodeFrame } from "../src/wire/frame.ts";
import type { Frame } from "../src/wire/frame.ts";
import type { Draft, Message, MessageKind } from "../src/wire/messages.ts";
import { inspect } from "./peer.ts";
import { queue } from "./queue.ts";
import type { Queue } from "./queue.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Stream is the gateway's end of one stream. */
export class Stream {
  /** Resolves when the client has ended its side, and with an error when it has reset it. */
  readonly ended: Promise<unknown>;
  /** Splits what is sent into pieces of so many bytes. */
  pieces = Number.POSITIVE_INFINITY;
  readonly client: { readonly readable: ReadableStream<Bytes>; readonly writable: WritableStream<Bytes> };
  private readonly messages = queue<Message>();
  private readonly writer: WritableStreamDefaultWriter<Bytes>;
  private readonly source: ReadableStream<Bytes>;

  constructor() {
    const toClient = new TransformStream<Bytes, Bytes>(undefined, undefined, { highWaterMark: 1e6 });
    const fromClient = new TransformStream<Bytes, Bytes>(undefined, { highWaterMark: 1e6 });
    this.client = { readable: toClient.readable, writable: fromClient.writable };
    this.writer = toClient.writable.getWriter();
    this.writer.closed.catch(() => {});
    this.source = fromClient.readable;
    this.ended = this.receive().catch((error: unknown) => error);
  }

  private async receive(): Promise<undefined> {
    const reader = new FrameReader(1 << 24);
    const source = this.source.getReader();
    for (let next = await source.read(); !next.done; next = await source.read()) {
      for (const { message } of reader.read(next.value)) this.messages.push(message as Message);
    }
    return undefined;
  }

  /** next is the next message, which must be of the kind. */
  async next<K extends MessageKind>(kind: K): Promise<Extract<Message, { kind: K }>> {
    const message = await this.messages.shift();
    if (message.kind !== kind) throw new Error(`a ${message.kind} came instead of a ${kind}: ${inspect(message)}`);
    return message as never;
  }

  /** Messages that came, and were not taken. */
  get waiting(): number {
    return this.messages.length;
  }

  send(...messages: Draft[]): void {
    this.sendBytes(Buffer.concat(messages.map((message) => encodeFrame(message))));
  }

  sendBytes(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += this.pieces) this.writer.write(bytes.slice(at, at + this.pieces)).catch(() => {});
  }

  end(): void {
    void this.writer.close().catch(() => {});
  }

  reset(): void {
    void this.writer.abort(new Error("reset")).catch(() => {});
  }
}

/** WtPeer is the gateway's end of one session. */
export class WtPeer {
  readonly options: WebTransportOptions & { readonly protocols?: readonly string[] };
  readonly url: string;
  /** The streams that the client has opened, in order. */
  readonly streams: Queue<Stream> = queue<Stream>();
  readonly datagrams: Queue<Message> = queue<Message>();
  /** How the client closed the session. */
  readonly gone: Promise<WebTransportCloseInfo | undefined>;
  readonly fake: FakeWebTransport;
  /** Nothing that the client sends, or is sent, gets through. */
  blocked = false;

  constructor(fake: FakeWebTransport, url: string, options: WebTransportOptions) {
    this.fake = fake;
    this.url = url;
    this.options = options;
    this.gone = fake.left;
  }

  accept(): Promise<Stream> {
    return this.streams.shift();
  }

  sendDatagram(message: Draft): void {
    this.fake.toClient.enqueue(encodeDatagram(message));
  }

  /** close ends the session from this side. */
  close(closeCode: number, reason: string): void {
    this.fake.end({ closeCode, reason });
  }

  /** fail is what the loss of the way does. */
  fail(): void {
    this.fake.fail(new Error("Connection lost."));
  }
}

/** FakeWebTransport is what a page would have. */
class FakeWebTransport {
  readonly ready: Promise<void>;
  readonly closed: Promise<WebTransportCloseInfo>;
  readonly left: Promise<WebTransportCloseInfo | undefined>;
  readonly datagrams: { readonly readable: ReadableStream<Bytes>; readonly writable: WritableStream<Bytes> };
  toClient!: ReadableStreamDefaultController<Bytes>;
  setReady!: () => void;
  setFailed!: (error: Error) => void;
  end!: (info: WebTransportCloseInfo) => void;
  fail!: (error: Error) => void;
  private setLeft!: (info: WebTransportCloseInfo | undefined) => void;
  private readonly peer: WtPeer;

  constructor(url: string, options: WebTransportOptions, made: (peer: WtPeer) => void) {
    this.ready = new Promise((resolve, reject) => {
      this.setReady = resolve;
      this.setFailed = reject;
    });
    this.closed = new Promise((resolve, reject) => {
      this.end = resolve;
      this.fail = reject;
    });
    this.left = new Promise((resolve) => {
      this.setLeft = resolve;
    });
    const take = (bytes: Bytes) => this.peer.datagrams.push(decodeDatagram(bytes).message as Message);
    this.datagrams = {
      readable: new ReadableStream<Bytes>({ start: (controller) => void (this.toClient = controller) }),
      writable: new WritableStream<Bytes>({ write: take }),
    };
    this.peer = new WtPeer(this, url, options);
    made(this.peer);
  }

  async createBidirectionalStream() {
    const stream = new Stream();
    this.peer.streams.push(stream);
    return stream.client;
  }

  close(info?: WebTransportCloseInfo): void {
    this.setFailed(new Error("closed"));
    this.setLeft(info);
    this.end(info ?? {});
  }
}

export interface WtPeers {
  /** accept is the next session that the client opens. */
  accept(): Promise<WtPeer>;
  /** Sessions that were opened so far. */
  readonly made: number;
  /** What becomes of those to come: they open; never do, as where UDP is dropped; or fail. */
  way: "open" | "blocked" | "refused";
  /** Takes WebTransport from the platform again. */
  stop(): void;
}

/** startWebTransport gives this platform WebTransport, whose other end is the test's. */
export function startWebTransport(): WtPeers {
  const sessions = queue<WtPeer>();
  const peers = {
    accept: () => sessions.shift(),
    made: 0,
    way: "open" as WtPeers["way"],
    stop() {
      delete (globalThis as { WebTransport?: unknown }).WebTransport;
    },
  };
  const made = (peer: WtPeer) => {
    peers.made++;
    if (peers.way === "refused") peer.fake.setFailed(new Error("Opening handshake failed."));
    if (peers.way === "open") peer.fake.setReady();
    sessions.push(peer);
  };
  (globalThis as { WebTransport?: unknown }).WebTransport = class extends FakeWebTransport {
    constructor(url: string, options: WebTransportOptions) {
      super(url, options, made);
    }
  };
  return peers;
}

export type { Frame };
