import { raise } from "./error.ts";
import { nearest } from "./nearest.ts";
import { longestMs } from "./timer.ts";
import type { Transport } from "./types.ts";

/** LogLevel of the client's own messages. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** ClientOptions configure a client. All have defaults. */
export interface ClientOptions {
  /**
   * Where the gateway is: `http(s)://[namespace:token@]host[:port]`, or a runner's own address such as
   * `https://app.example.com/api/rivet`, whose `/metadata` names the gateway; or a function that finds it, called at the first
   * use and again when it could not be reached; an ActorError of it that is not retryable ends what waits. Default: see the
   * README.
   */
  readonly endpoint?: string | (() => string | Promise<string>) | undefined;
  /** Identifies the client to the gateway; stronger than one in the endpoint. */
  readonly token?: string | undefined;
  /** Of all actors; stronger than one in the endpoint. Default "default". */
  readonly namespace?: string | undefined;
  /** The form of the session on the wire: binary, or JSON, which can be read in a browser's tools. Default "proto". */
  readonly encoding?: "proto" | "json" | undefined;
  /**
   * How to reach the gateway. `"auto"`: WebTransport where the platform has it, else a WebSocket, else HTTP with server-sent events;
   * what fails at an origin is tried again later. A transport by its name: that one only. Default "auto".
   */
  readonly transport?: "auto" | Transport | undefined;
  /** Bounds the way from opening a socket to the gateway's Welcome. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * How long a call without timeoutMs waits for the gateway, or for its connection to be open; then it fails with
   * client.unreachable, or with what keeps the connection from opening. Once sent, the gateway's own default holds, 60 s.
   * `create` and `resolve` are bounded by it in all. Default 30,000.
   */
  readonly waitTimeoutMs?: number | undefined;
  /** Bound of the pause before the first attempt to come back; it doubles with each one, and the pause is random below it. Default 250. */
  readonly backoffMinMs?: number | undefined;
  /** Bound of every such pause. Attempts are not limited. Default 30,000. */
  readonly backoffMaxMs?: number | undefined;
  /**
   * Bounds the calls that wait to be sent, and those that were sent and may have to be sent again, in bytes of arguments plus
   * 256 for each; one more fails with session.too_many_calls. Default 64 MiB.
   */
  readonly maxQueuedBytes?: number | undefined;
  /** Bounds one message from the gateway; a longer one costs the socket. Default 16 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Is told what has no caller to be told to: lost sockets, refused frames. Never with secrets. Default: nobody. */
  readonly log?: ((level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>) => void) | undefined;
}

/** Settings are the options that a session needs, complete. */
export interface Settings {
  readonly encoding: "proto" | "json";
  readonly transport: "auto" | Transport;
  readonly connectTimeoutMs: number;
  readonly waitTimeoutMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  readonly maxQueuedBytes: number;
  readonly maxMessageBytes: number;
  readonly log: (level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>) => void;
}

const known = [
  "endpoint",
  "token",
  "namespace",
  "encoding",
  "transport",
  "connectTimeoutMs",
  "waitTimeoutMs",
  "backoffMinMs",
  "backoffMaxMs",
  "maxQueuedBytes",
  "maxMessageBytes",
  "log",
];

/** settingsOf completes options, and refuses what it does not know. */
export function settingsOf(options: ClientOptions): Settings {
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw raise("request.invalid", `createClient has no option "${key}"${meant(key)}`);
  }
  const { encoding = "proto" } = options;
  if (encoding !== "proto" && encoding !== "json") throw raise("request.invalid", 'The option "encoding" is "proto" or "json".');
  return {
    encoding,
    transport: transportOf(options, encoding),
    connectTimeoutMs: positive(options, "connectTimeoutMs", 10_000),
    waitTimeoutMs: positive(options, "waitTimeoutMs", 30_000),
    backoffMinMs: positive(options, "backoffMinMs", 250),
    backoffMaxMs: positive(options, "backoffMaxMs", 30_000),
    maxQueuedBytes: positive(options, "maxQueuedBytes", 64 << 20),
    maxMessageBytes: positive(options, "maxMessageBytes", 16 << 20),
    log: logOf(options),
  };
}

const transports: readonly Settings["transport"][] = ["auto", "webtransport", "websocket", "sse"];

function transportOf({ transport = "auto" }: ClientOptions, encoding: Settings["encoding"]): Settings["transport"] {
  if (!transports.includes(transport)) {
    const near = nearest(String(transport), transports);
    throw raise("request.invalid", `The option "transport" is "auto", "webtransport", "websocket" or "sse"${near === undefined ? "." : `, did you mean "${near}"?`}`);
  }
  if (transport === "webtransport" && encoding !== "proto") throw raise("request.invalid", 'WebTransport has only the encoding "proto".');
  return transport;
}

/** meant names the option that a wrong one most likely stands for. */
function meant(key: string): string {
  const near = nearest(key, known);
  return near === undefined ? "." : `, did you mean "${near}"?`;
}

/** logOf is the log, which harms nobody when it fails itself. */
function logOf({ log }: ClientOptions): Settings["log"] {
  return (level, message, fields) => {
    try {
      log?.(level, message, fields);
    } catch (error) {
      console.error("The log of a Stagedoor client failed:", error);
    }
  };
}

type NumberOption = { [K in keyof ClientOptions]-?: ClientOptions[K] extends number | undefined ? K : never }[keyof ClientOptions];

function positive(options: ClientOptions, name: NumberOption, otherwise: number): number {
  const value = options[name] ?? otherwise;
  if (!(value > 0)) throw raise("request.invalid", `The option "${name}" is a number above 0.`);
  return Math.min(value, longestMs);
}

/** pauseMs is how long to wait before attempt n in a row, which counts from 1: full jitter. */
export function pauseMs(settings: Settings, attempt: number): number {
  return Math.random() * Math.min(settings.backoffMaxMs, settings.backoffMinMs * 2 ** Math.min(attempt - 1, 30));
}
