import { encodeFrame, type RunnerMessage } from "../wire/encode.ts";
import { Writer } from "../wire/writer.ts";
import type { Socket } from "./socket.ts";

/** About how much goes into one write. */
const MAX_WRITE = 256 << 10;
/** How much may be on its way to the kernel before the next write waits. */
const MAX_IN_FLIGHT = 1 << 20;

/** Feed is what a session has to write. */
export interface Feed {
  /** take appends what is next, about limit bytes. */
  take(w: Writer, limit: number): void;
}

// Writes are made one at a time, so one buffer does for all.
const scratch = new Writer(MAX_WRITE + (64 << 10));

/**
 * Outlet writes one socket: what has no number and needs no lease (Hello, Ping, Goodbye) in front, then what the session has.
 * What is queued in one turn of the event loop goes out together at its end.
 */
export class Outlet {
  private readonly socket: Socket;
  private front: RunnerMessage[] = [];
  private feed: Feed | undefined;
  /** Nothing of feed was written: what it begins with goes first [LINK-16]. */
  private fresh = false;
  private inFlight = 0;
  private scheduled = false;
  private ending = false;
  private isOver = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** first queues a message in front of everything. */
  first(m: RunnerMessage): void {
    this.front.push(m);
    this.nudge();
  }

  /** feedFrom has the outlet write what the session has. */
  feedFrom(feed: Feed): void {
    this.feed = feed;
    this.fresh = true;
    this.nudge();
  }

  /** nudge says that there may be something to write. */
  nudge(): void {
    if (this.scheduled || this.isOver) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.flush();
    });
  }

  /** end writes what is queued and closes the socket. */
  end(): void {
    if (this.isOver) return;
    this.ending = true;
    this.flush();
  }

  /** kill closes the socket at once. */
  kill(): void {
    this.isOver = true;
    this.socket.destroy();
  }

  private flush(): void {
    while (!this.isOver && this.inFlight < MAX_IN_FLIGHT) {
      scratch.pos = 0;
      this.take(scratch);
      const size = scratch.pos;
      if (size === 0) {
        if (this.ending) {
          this.isOver = true;
          this.socket.end();
        }
        return;
      }
      this.inFlight += size;
      this.socket.write(Buffer.from(scratch.view()), () => {
        const waited = this.inFlight >= MAX_IN_FLIGHT;
        this.inFlight -= size;
        if (waited) this.nudge();
      });
    }
  }

  private take(w: Writer): void {
    if (this.ending) {
      this.feed?.take(w, MAX_WRITE);
      if (w.pos === 0) this.takeFront(w); // Goodbye is the last frame [FRAME-6]
      return;
    }
    if (!this.fresh) this.takeFront(w);
    this.feed?.take(w, MAX_WRITE);
    if (this.fresh) this.takeFront(w);
    this.fresh = false;
  }

  private takeFront(w: Writer): void {
    if (this.front.length === 0) return;
    for (const m of this.front) encodeFrame(w, m);
    this.front = [];
  }
}
