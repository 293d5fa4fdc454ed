import { ActorError, UserError } from "../error.ts";
import { registry } from "../gen/codes.ts";
import type { OwnCode } from "../gen/codes.ts";
import type { SessionInfo } from "../link/port.ts";
import type { Ran, WireError } from "../wire/messages.ts";
import { encodeValue } from "./payload.ts";

/** maxMessage bounds the text of an error, in bytes. */
const maxMessage = 4 << 10;

/** fault is an error of this package's own. message "": the registry's text. */
export function fault(name: OwnCode, message = ""): ActorError {
  const { retryable, ran, text } = registry[name];
  const [group, code] = name.split(".") as [string, string];
  return new ActorError({ group, code, message: message || text, retryable, ran });
}

/** stopped is the error of what is asked of an actor that has ended. */
export function stopped(): ActorError {
  return fault("actor.stopping", "The actor has stopped.");
}

/** quiet is a promise whose rejection, where nobody waits for it, does not end the process, and the other actors with it. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** ended is what is asked of an actor that has ended. */
export function ended(): Promise<never> {
  return quiet(Promise.reject(stopped()));
}

/** wireFault is the form of a fault that leaves. */
export function wireFault(name: OwnCode, ran: Ran = registry[name].ran, message = ""): WireError {
  return wireOf(fault(name, message), ran, undefined);
}

/** Outcome of what user code threw: what its caller is told, and whether the text stayed behind and belongs in the log. */
export interface Told {
  readonly error: WireError;
  readonly hidden: boolean;
}

/**
 * tell makes of what was thrown what may leave the runner [ERR-3]: user errors, and errors that a runner may send, as they stand;
 * anything else is internal.error, whose text leaves only in development.
 */
export function tell(thrown: unknown, ran: Ran, session: SessionInfo): Told {
  try {
    if (isPublic(thrown)) return { error: wireOf(thrown, ran, session), hidden: false };
  } catch {
    // What was thrown does not let itself be looked at.
  }
  return { error: wireOf(fault("internal.error", session.development ? textOf(thrown) : ""), ran, session), hidden: true };
}

/** isPublic: it was made to be told, and nobody has made something else of it since. */
function isPublic(thrown: unknown): thrown is UserError | ActorError {
  if (!(thrown instanceof UserError || thrown instanceof ActorError) || typeof thrown.message !== "string") return false;
  const name = `${thrown.group}.${thrown.code}`;
  return /^user\.[A-Za-z0-9_.-]{1,64}$/.test(name) || (Object.hasOwn(registry, name) && name !== "internal.error");
}

/** textOf is what anything that was thrown says. */
export function textOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "";
  }
}

function wireOf(error: UserError | ActorError, ran: Ran, session: SessionInfo | undefined): WireError {
  return {
    group: String(error.group),
    code: String(error.code),
    message: clip(error.message, maxMessage),
    metadata: error.metadata === undefined || session === undefined ? undefined : metadataOf(error.metadata, session.limits.maxErrorMetadata),
    retryable: error.retryable === true,
    ran,
    retryAfterMs: error instanceof ActorError ? Math.min(Math.max(Math.round(error.retryAfterMs), 0) || 0, 2 ** 32 - 1) : 0,
  };
}

/** metadataOf is left out where it cannot be sent. */
function metadataOf(metadata: unknown, limit: number): Uint8Array | undefined {
  try {
    const bytes = encodeValue(metadata, "metadata");
    return bytes.length <= limit ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** errorOf is what the gateway said, as an error. */
export function errorOf(m: WireError): ActorError {
  return new ActorError({ group: m.group, code: m.code, message: m.message, retryable: m.retryable, ran: m.ran, retryAfterMs: m.retryAfterMs });
}

/** clip is a text of at most so many bytes of UTF-8. */
export function clip(text: string, bytes: number): string {
  if (text.length * 3 <= bytes) return text;
  let size = 0;
  let kept = "";
  for (const character of text) {
    size += Buffer.byteLength(character);
    if (size > bytes) break;
    kept += character;
  }
  return kept;
}
