import { connect as connectTcp, type Socket as NetSocket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { WebSocket } from "ws";
import { SUBPROTOCOL } from "../wire/features.ts";
import { StreamSocket, WsSocket, type Socket } from "./socket.ts";

/** Where a gateway takes runners over WebSocket. */
const RUNNER_PATH = "/runner/v1alpha1";
/** What bounds dialing. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
/** One write of the other side may hold several frames. */
const MAX_WS_MESSAGE = 64 << 20;

/** Endpoint is where the gateway is, and how it is reached. */
export interface Endpoint {
  /** The endpoint as it may be shown: without what stands before an @, and behind a ?. */
  readonly shown: string;
  /** dial makes a socket. It may be closed before it opens. */
  dial(token: string, tls: ConnectionOptions | undefined): Socket;
}

/**
 * parseEndpoint reads ws://, wss:// (http:// and https:// are the same; /runner/v1alpha1 is added if there is no path),
 * tcp://host:port, tls://host:port and unix:///path endpoints. Errors: TypeError.
 */
export function parseEndpoint(text: string): Endpoint {
  const unix = /^unix:\/\/(.+)$/.exec(text);
  if (unix !== null) return { shown: text, dial: () => new StreamSocket(connectTcp({ path: unix[1]! })) };
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new TypeError("the endpoint is not a URL such as ws://127.0.0.1:6420");
  }
  url.username = url.password = url.hash = "";
  switch (url.protocol) {
    case "ws:":
    case "http:":
    case "wss:":
    case "https:":
      return overWebSocket(url);
    case "tcp:":
    case "tls:":
      return overStream(url);
    default:
      throw new TypeError(`endpoint ${shown(url)}: the scheme is ws, wss, http, https, tcp, tls or unix`);
  }
}

function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

function overWebSocket(url: URL): Endpoint {
  const secure = url.protocol === "wss:" || url.protocol === "https:";
  const rest = url.href.slice(url.protocol.length);
  const at = new URL((secure ? "wss:" : "ws:") + rest);
  if (at.pathname === "/") at.pathname = RUNNER_PATH;
  return {
    shown: shown(url),
    dial(token, tls) {
      return new WsSocket(
        new WebSocket(at.href, SUBPROTOCOL, {
          ...tls,
          perMessageDeflate: false,
          handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
          maxPayload: MAX_WS_MESSAGE,
          headers: token === "" ? {} : { authorization: `Bearer ${token}` },
        }),
      );
    },
  };
}

function overStream(url: URL): Endpoint {
  const port = Number(url.port);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (host === "" || !port) throw new TypeError(`endpoint ${shown(url)}: host or port missing`);
  const secure = url.protocol === "tls:";
  return {
    shown: shown(url),
    dial(_token, tls) {
      const conn: NetSocket = secure
        ? connectTls({ host, port, servername: /[a-z]/i.test(host) ? host : "", ...tls })
        : connectTcp({ host, port });
      return new StreamSocket(conn, secure ? "secureConnect" : "connect");
    },
  };
}
