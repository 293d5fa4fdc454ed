// Sockets as the link sees them: bytes of whole frames in and out, over WebSocket or over a stream.
import type { Socket as NetSocket } from "node:net";
import type { WebSocket } from "ws";
import { WireFault } from "../wire/fault.ts";
import { frameLength, HEADER } from "../wire/frame.ts";

/** Receiver takes what a socket reads. */
export interface Receiver {
  opened(): void;
  /** limit is the longest frame that may come. */
  limit(): number;
  /** batch is told when frames begin and end that were read at once. */
  batch(begins: boolean): void;
  /** frame takes one frame between start and end, without prefix. What it throws is a fault. */
  frame(buf: Buffer, start: number, end: number): void;
  /** fault is told once; the socket reads nothing more. */
  fault(err: unknown): void;
  /** closed is told once, last. */
  closed(err: Error): void;
}

/** Socket is one transport connection. It begins to open when it is made. */
export interface Socket {
  /** start hands what happens to a receiver; before it nothing is lost. */
  start(to: Receiver): void;
  /** write hands over whole frames, which the socket owns from then on. written is called when they have left. */
  write(frames: Buffer, written: () => void): void;
  /** end closes the socket behind what was written. */
  end(): void;
  /** destroy closes the socket at once. */
  destroy(): void;
}

/** cutFrames hands the whole frames of buf to the receiver and gives where the rest begins. */
function cutFrames(buf: Buffer, to: Receiver): number {
  to.batch(true);
  for (let at = 0; ; ) {
    const n = frameLength(buf, at, buf.length, to.limit());
    if (n === 0) {
      to.batch(false);
      return at;
    }
    to.frame(buf, at + HEADER, at + n);
    at += n;
  }
}

/** WsSocket: a binary message holds whole frames [FRAME-1]. */
export class WsSocket implements Socket {
  private readonly ws: WebSocket;

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.binaryType = "nodebuffer";
    ws.on("error", () => {}); // until start
  }

  start(to: Receiver): void {
    const { ws } = this;
    let cause: Error | undefined;
    let faulty = false;
    ws.on("open", () => to.opened());
    ws.on("error", (err: Error) => (cause ??= err));
    ws.on("close", (code: number) => to.closed(cause ?? new Error(`the socket was closed with code ${code}`)));
    ws.on("message", (data: Buffer, isBinary: boolean) => {
      if (faulty) return;
      try {
        if (!isBinary) throw new WireFault("framing", "a text message");
        if (cutFrames(data, to) < data.length) throw new WireFault("framing", "a frame is cut off by the end of its message");
      } catch (err) {
        faulty = true;
        to.fault(err);
      }
    });
  }

  write(frames: Buffer, written: () => void): void {
    this.ws.send(frames, { binary: true }, written);
  }

  end(): void {
    this.ws.close(1000);
  }

  destroy(): void {
    this.ws.terminate();
  }
}

/** StreamSocket: frames follow each other over TCP, TLS or a unix socket [FRAME-1]. */
export class StreamSocket implements Socket {
  private readonly conn: NetSocket;
  private readonly openEvent: string;

  constructor(conn: NetSocket, openEvent = "connect") {
    this.conn = conn;
    this.openEvent = openEvent;
    conn.setNoDelay(true);
    conn.on("error", () => {}); // until start
  }

  start(to: Receiver): void {
    const { conn } = this;
    let cause: Error | undefined;
    let faulty = false;
    let rest: Buffer | undefined;
    let missing = 0;
    let pieces: Buffer[] = [];
    conn.on(this.openEvent, () => to.opened());
    conn.on("error", (err: Error) => (cause ??= err));
    conn.on("close", () => to.closed(cause ?? new Error("the socket was closed")));
    conn.on("data", (chunk: Buffer) => {
      if (faulty) return;
      if (chunk.length < missing) {
        missing -= chunk.length;
        pieces.push(chunk);
        return;
      }
      const buf = pieces.length === 0 ? chunk : Buffer.concat([...pieces, chunk]);
      try {
        rest = buf.subarray(cutFrames(buf, to));
      } catch (err) {
        faulty = true;
        to.fault(err);
        return;
      }
      pieces = rest.length === 0 ? [] : [rest];
      // The prefix was checked: so long is the frame that has begun.
      missing = rest.length < HEADER ? 0 : HEADER + rest.readUInt32BE(0) - rest.length;
    });
  }

  write(frames: Buffer, written: () => void): void {
    this.conn.write(frames, written);
  }

  end(): void {
    this.conn.end();
  }

  destroy(): void {
    this.conn.destroy();
  }
}
