import type { Socket, SocketEvents } from "../socket/socket.ts";
import { after } from "../timer.ts";
import type { Frame } from "../wire/frame.ts";
import type { Message } from "../wire/messages.ts";

/** Line is a socket that is open, and has no owner yet. */
export interface Line {
  readonly socket: Socket;
  /** attach has the owner told what happens, and at once what has happened. */
  attach(owner: SocketEvents): void;
}

/** openLine opens a socket, and is it as soon as it is open. */
export function openLine(open: (events: SocketEvents) => Socket, timeoutMs: number, signal: AbortSignal): Promise<Line> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const plug = new Plug(resolve, reject);
    plug.begin(open(plug), timeoutMs, signal);
  });
}

class Plug implements SocketEvents, Line {
  socket!: Socket; // there before anybody sees the line
  private readonly resolve: (line: Line) => void;
  private readonly reject: (error: Error) => void;
  private owner: SocketEvents | undefined;
  /** What happened before there was an owner. */
  private readonly missed: ((owner: SocketEvents) => void)[] = [];
  private stop = () => {};

  constructor(resolve: (line: Line) => void, reject: (error: Error) => void) {
    this.resolve = resolve;
    this.reject = reject;
  }

  begin(socket: Socket, timeoutMs: number, signal: AbortSignal): void {
    this.socket = socket;
    const fail = (error: Error) => {
      this.stop();
      socket.close();
      this.reject(error);
    };
    const abort = () => fail(signal.reason as Error);
    const timer = after(timeoutMs, () => fail(new Error("the socket did not open in time")));
    signal.addEventListener("abort", abort, { once: true });
    this.stop = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    };
  }

  attach(owner: SocketEvents): void {
    this.owner = owner;
    for (const tell of this.missed.splice(0)) tell(owner);
  }

  opened(): void {
    this.stop();
    this.resolve(this);
  }

  closed(reason: string, unreadable?: boolean): void {
    this.stop();
    this.reject(new Error(reason)); // which is nothing new once it was open
    this.tell((owner) => owner.closed(reason, unreadable));
  }

  frames(frames: readonly Frame[], lane: number): void {
    this.tell((owner) => owner.frames(frames, lane));
  }

  datagram(message: Message): void {
    this.tell((owner) => owner.datagram(message));
  }

  laneLost(lane: number, reason: string): boolean {
    return this.owner?.laneLost(lane, reason) ?? false;
  }

  unreadable(error: Error): void {
    this.tell((owner) => owner.unreadable(error));
  }

  private tell(what: (owner: SocketEvents) => void): void {
    if (this.owner === undefined) this.missed.push(what);
    else what(this.owner);
  }
}
