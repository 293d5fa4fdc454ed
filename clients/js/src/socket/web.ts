import type { OpenRaw } from "./raw.ts";

/** openRaw opens the WebSocket that browsers, Deno, Bun and others have. */
export const openRaw: OpenRaw = ({ url, subprotocol }, events) => {
  const socket = new WebSocket(url, [subprotocol]);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => events.opened();
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => events.message(typeof data === "string" ? data : new Uint8Array(data));
  socket.onclose = ({ code, reason }) => events.closed(`the socket was closed (${[code, reason].filter(Boolean).join(" ")})`, false);
  return {
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
    send: (data) => socket.send(data),
    close: () => socket.close(),
    ref: () => {},
  };
};
