// What an application's use of an action becomes: arguments to bytes, outcome to promise.

import type { Target } from "./address.ts";
import { messageOf, raise } from "./error.ts";
import type { ActorError } from "./error.ts";
import { interrupted, now } from "./session/call.ts";
import type { Call } from "./session/call.ts";
import type { Connection } from "./session/connection.ts";
import type { Session } from "./session/session.ts";
import type { ActionRequest } from "./types.ts";
import { after } from "./timer.ts";
import { isWellFormed } from "./values/bytes.ts";
import { decode, encode } from "./values/index.ts";
import type { Codec } from "./wire/codec.ts";

/** maxActionBytes bounds the name of an action. */
const maxActionBytes = 128;

/** call calls an action; it is rejected with an ActorError, whatever went wrong. */
export function call(session: Session, target: Target, conn: Connection | undefined, request: ActionRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const { name, args = [], signal, timeoutMs } = request;
    const invalid = nameError(name) ?? argsError(args) ?? timeoutError(timeoutMs) ?? (signal?.aborted ? interrupted(signal.reason, "no", undefined) : undefined);
    if (invalid !== undefined) return reject(invalid);
    let bytes: Uint8Array | undefined;
    try {
      bytes = args.length === 0 ? undefined : encodeFor(session.codec, [...args], "args");
    } catch (cause) {
      return reject(raise("request.invalid_payload", `The arguments of ${name} cannot be encoded: ${messageOf(cause)}`, { cause }));
    }
    let stop = () => {};
    const pending = session.submit({
      target,
      conn,
      action: name,
      args: bytes,
      deadline: timeoutMs === undefined ? undefined : now() + timeoutMs,
      settle(error, output) {
        stop();
        if (error !== undefined) return reject(error);
        try {
          resolve(output === undefined ? undefined : decode(output));
        } catch (cause) {
          reject(raise("client.invalid_response", `The result of ${name} could not be decoded: ${messageOf(cause)}`, { ran: "yes", cause }));
        }
      },
    });
    if (pending !== undefined) stop = watch(session, pending, signal, timeoutMs);
  });
}

/** encodeFor is a value as CBOR, if the form of the session can carry it. */
export function encodeFor(codec: Codec, value: unknown, root: string): Uint8Array {
  const bytes = encode(value, { root });
  codec.check(bytes, root);
  return bytes;
}

/** watch gives the call up when its signal or its time says so; what it returns ends that. */
function watch(session: Session, pending: Call, signal: AbortSignal | undefined, timeoutMs: number | undefined): () => void {
  const abort = () => session.abandon(pending, signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const late = () => session.abandon(pending, new DOMException("The call took too long.", "TimeoutError"));
  const timer = timeoutMs === undefined ? undefined : after(timeoutMs, late);
  return () => {
    signal?.removeEventListener("abort", abort);
    clearTimeout(timer);
  };
}

function nameError(name: unknown): ActorError | undefined {
  const valid = typeof name === "string" && name !== "" && isWellFormed(name) && utf8Fits(name, maxActionBytes);
  return valid ? undefined : raise("request.invalid", `The name of an action is 1 to ${maxActionBytes} bytes of UTF-8.`);
}

/** utf8Fits counts bytes only where characters cannot tell. */
function utf8Fits(text: string, most: number): boolean {
  return 3 * text.length <= most || new TextEncoder().encode(text).length <= most;
}

function argsError(args: unknown): ActorError | undefined {
  return Array.isArray(args) ? undefined : raise("request.invalid", "The arguments of an action are an array.");
}

function timeoutError(timeoutMs: unknown): ActorError | undefined {
  const valid = timeoutMs === undefined || (typeof timeoutMs === "number" && timeoutMs > 0);
  return valid ? undefined : raise("request.invalid", "timeoutMs is a number above 0.");
}
