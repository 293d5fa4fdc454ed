import { WebSocket } from "ws";
import type { OpenRaw } from "./raw.ts";

/** openRaw opens a WebSocket of the package ws: Node 20 has none of its own. */
export const openRaw: OpenRaw = ({ url, subprotocol, maxMessageBytes }, events) => {
  const socket = new WebSocket(url, [subprotocol], { maxPayload: maxMessageBytes, perMessageDeflate: false, followRedirects: false });
  let transport: { ref(): unknown; unref(): unknown } | undefined;
  let referenced = true;
  let failure: string | undefined;
  let unreadable = false;
  socket.on("upgrade", (response) => {
    transport = response.socket;
  });
  socket.on("open", () => events.opened());
  socket.on("message", (data, isBinary) => {
    const { buffer, byteOffset, byteLength } = data as Buffer;
    events.message(isBinary ? new Uint8Array(buffer, byteOffset, byteLength) : (data as Buffer).toString("utf8"));
  });
  socket.on("error", (error) => {
    failure = textOf(error);
    unreadable = (error as { readonly code?: string }).code?.startsWith("WS_ERR_") === true;
  });
  socket.on("close", (code, reason) => {
    events.closed(failure ?? `the socket was closed (${[code, reason.toString()].filter(Boolean).join(" ")})`, unreadable);
  });
  return {
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
    send: (data) => socket.send(data),
    close: () => {
      // Politely where it is open; the peer's answer is not waited for.
      if (socket.readyState === WebSocket.OPEN) socket.close();
      setImmediate(() => socket.terminate());
    },
    ref: (busy) => {
      if (busy === referenced || transport === undefined) return;
      referenced = busy;
      if (busy) transport.ref();
      else transport.unref();
    },
  };
};

/** textOf is what an error says; one of several addresses says nothing itself. */
function textOf(error: Error & { readonly code?: string; readonly errors?: readonly Error[] }): string {
  return error.message || error.errors?.map(({ message }) => message).join(", ") || error.code || error.name;
}
