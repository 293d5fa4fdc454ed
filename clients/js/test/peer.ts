import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { proto } from "../src/wire/codec.ts";
import type { Codec } from "../src/wire/codec.ts";
import type { Unknown } from "../src/wire/frame.ts";
import type { Draft, Message, MessageKind } from "../src/wire/messages.ts";
import { queue } from "./queue.ts";

/** Peer is the gateway's end of one socket, in the hands of a test. */
export interface Peer {
  readonly socket: WebSocket;
  send(...messages: Draft[]): void;
  /** next is the next message, which must be of the kind. */
  next<K extends MessageKind>(kind: K): Promise<Extract<Message, { kind: K }>>;
  /** gone resolves when the client has left the socket. */
  readonly gone: Promise<unknown>;
}

export interface Peers {
  readonly url: string;
  /** accept is the next socket that the client opens. */
  accept(): Promise<Peer>;
  /** Sockets that were opened so far. */
  readonly made: number;
  stop(): void;
}

/** startPeers is a gateway that does nothing by itself: for what a real one cannot be brought to do. */
export async function startPeers(codec: Codec = proto): Promise<Peers> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => codec.subprotocol });
  await once(server, "listening");
  const waiting = queue<Peer>();
  let made = 0;
  server.on("connection", (socket: WebSocket) => {
    made++;
    waiting.push(peerOf(codec, socket));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accept: () => waiting.shift(),
    get made() {
      return made;
    },
    stop() {
      for (const socket of server.clients) socket.terminate();
      server.close();
    },
  };
}

function peerOf(codec: Codec, socket: WebSocket): Peer {
  const messages = queue<Message | Unknown>();
  socket.on("message", (data: Buffer, isBinary: boolean) => {
    for (const { message } of codec.decode(isBinary ? new Uint8Array(data) : data.toString(), 1 << 24)) messages.push(message);
  });
  return {
    socket,
    send(...list) {
      const frames = list.map((message) => codec.encode(message));
      while (frames.length > 0) socket.send(codec.pack(frames, 1 << 24));
    },
    async next(kind) {
      const message = await messages.shift();
      if (message.kind !== kind) throw new Error(`a ${message.kind} came instead of a ${kind}: ${inspect(message)}`);
      return message as never;
    },
    gone: once(socket, "close"),
  };
}

export function inspect(message: object): string {
  return JSON.stringify(message, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
}
