/** RawSocket is a WebSocket, as far as platforms differ. */
export interface RawSocket {
  /** Bytes that were sent and have not left the process. */
  readonly bufferedBytes: number;
  send(data: Uint8Array<ArrayBuffer> | string): void;
  close(): void;
  /** ref says whether the socket keeps its process alive, where there are such things. */
  ref(busy: boolean): void;
}

/** RawEvents is what happens to a WebSocket. Nothing comes after closed. */
export interface RawEvents {
  opened(): void;
  message(data: Uint8Array | string): void;
  /** The socket is gone, or was never there. unreadable: something came on it that no WebSocket message is, or too long a one. */
  closed(reason: string, unreadable: boolean): void;
}

export interface RawOptions {
  readonly url: string;
  readonly subprotocol: string;
  /** The longest message that is taken, where that can be said. */
  readonly maxMessageBytes: number;
}

export type OpenRaw = (options: RawOptions, events: RawEvents) => RawSocket;
