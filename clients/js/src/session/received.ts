import { ActorError } from "../error.ts";
import { decode } from "../values/index.ts";
import type { WireError } from "../wire/messages.ts";

/** receivedError is an error that the gateway sent. Metadata that cannot be decoded is left out. */
export function receivedError(error: WireError): ActorError {
  return new ActorError({ ...error, metadata: metadataOf(error.metadata) });
}

function metadataOf(bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined) return undefined;
  try {
    return decode(bytes);
  } catch {
    return undefined; // the error itself matters more
  }
}

/** namedError is an error of which only the name and the text are known, as in a Goodbye. */
export function namedError(name: string, message: string): ActorError {
  const dot = name.indexOf(".");
  return new ActorError({ group: dot < 0 ? "internal" : name.slice(0, dot), code: dot < 0 ? "error" : name.slice(dot + 1), message });
}
