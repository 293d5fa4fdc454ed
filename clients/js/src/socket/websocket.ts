import { openRaw } from "#websocket";
import { connectUrl } from "../endpoint.ts";
import { messageOf } from "../error.ts";
import type { Socket, SocketEvents, WayOptions } from "./socket.ts";

/** openWebSocket opens a WebSocket [SESS-1]: one lane for all. */
export function openWebSocket({ base, codec, maxMessageBytes }: WayOptions, events: SocketEvents): Socket {
  const raw = openRaw(
    { url: connectUrl(base, "websocket"), subprotocol: codec.subprotocol, maxMessageBytes },
    {
      opened: () => events.opened(),
      message(data) {
        let frames;
        try {
          frames = codec.decode(data, maxMessageBytes);
        } catch (error) {
          return events.unreadable(error instanceof Error ? error : new Error(messageOf(error)));
        }
        events.frames(frames, 0);
      },
      closed: (reason, unreadable) => events.closed(reason, unreadable),
    },
  );
  return {
    transport: "websocket",
    lanes: false,
    get bufferedBytes() {
      return raw.bufferedBytes;
    },
    send: (data) => raw.send(data),
    finish: () => {},
    datagram: () => false,
    close: () => raw.close(),
    ref: (busy) => raw.ref(busy),
  };
}
