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
  if (thrown instanceof UserError || (thrown instanceof ActorError && isPublic(thrown))) {
    return { error: wireOf(thrown, ran, session), hidden: false };
  }
  const text = session.development ? (thrown instanceof Error ? thrown.message : String(thrown)) : "";
  return { error: wireOf(fault("internal.error", text), ran, session), hidden: true };
}

function isPublic(error: ActorError): boolean {
  const name = `${error.group}.${error.code}`;
  return error.group === "user" || (name in registry && name !== "internal.error");
}

function wireOf(error: UserError | ActorError, ran: Ran, session: SessionInfo | undefined): WireError {
  const { group, code, retryable } = error;
  return {
    group,
    code,
    message: clip(error.message, maxMessage),
    metadata: error.metadata === undefined || session === undefined ? undefined : metadataOf(error.metadata, session.limits.maxErrorMetadata),
    retryable,
    ran,
    retryAfterMs: error instanceof ActorError ? error.retryAfterMs : 0,
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
