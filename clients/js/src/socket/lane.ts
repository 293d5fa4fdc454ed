import { messageOf } from "../error.ts";
import type { Frame } from "../wire/frame.ts";
import { FrameReader } from "../wire/stream.ts";

/** DuplexStream is a bidirectional stream of WebTransport. */
export interface DuplexStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/** LaneOwner is told what happens on a lane. Nothing comes after lost, ended or drop. */
export interface LaneOwner {
  frames(frames: readonly Frame[]): void;
  unreadable(error: Error): void;
  /** So many bytes more, or fewer, wait to be taken by the stream. */
  buffered(bytes: number): void;
  /** The stream was reset. */
  lost(reason: string): void;
  /** The gateway has ended its side, and ours is open. */
  ended(): void;
}

/** Lane is one stream of frames in each direction. Writing begins before the stream is there. */
export class Lane {
  private readonly owner: LaneOwner;
  private readonly reader: FrameReader;
  private readonly writer: Promise<WritableStreamDefaultWriter<Uint8Array> | undefined>;
  private source: ReadableStreamDefaultReader<Uint8Array> | undefined;
  private finished = false;
  private over = false;

  constructor(stream: Promise<DuplexStream>, maxFrameBytes: number, owner: LaneOwner) {
    this.owner = owner;
    this.reader = new FrameReader(maxFrameBytes);
    this.writer = stream.then(
      ({ readable, writable }) => {
        this.source = readable.getReader();
        void this.receive(this.source);
        return writable.getWriter();
      },
      (error: unknown) => {
        this.lose(messageOf(error));
        return undefined;
      },
    );
  }

  send(bytes: Uint8Array): void {
    this.owner.buffered(bytes.length);
    void this.writer
      .then((writer) => (this.over ? undefined : writer?.write(bytes)))
      .catch((error: unknown) => this.lose(messageOf(error)))
      .then(() => this.owner.buffered(-bytes.length));
  }

  /** finish ends our side, and resolves when that, and all before it, has arrived, or never will. */
  finish(): Promise<void> {
    this.finished = true;
    return this.writer.then((writer) => writer?.close()).catch(() => {}); // it was lost, which ends it, too
  }

  /** drop ends both sides at once, and tells nobody. */
  drop(): void {
    this.over = true;
    const ignore = () => {};
    void this.writer.then((writer) => writer?.abort()).catch(ignore);
    void this.source?.cancel().catch(ignore);
  }

  private async receive(source: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await source.read();
        if (this.over) return;
        if (done) return this.finished ? undefined : this.owner.ended();
        this.take(value);
      }
    } catch (error) {
      this.lose(messageOf(error));
    }
  }

  private take(piece: Uint8Array): void {
    let frames: Frame[];
    try {
      frames = this.reader.read(piece);
    } catch (error) {
      return this.owner.unreadable(error instanceof Error ? error : new Error(messageOf(error)));
    }
    if (frames.length > 0) this.owner.frames(frames);
  }

  private lose(reason: string): void {
    if (this.over) return;
    this.drop();
    if (!this.finished) this.owner.lost(reason);
  }
}
