import { raise } from "./error.ts";
import type { ActorError } from "./error.ts";
import type { ActorKey } from "./types.ts";
import { isWellFormed } from "./values/bytes.ts";
import type { Address, Mode } from "./wire/messages.ts";

/** Target is whom a handle means: an address with a mode, or an id. It does not change. */
export interface Target {
  /** undefined: by id. */
  readonly address: Address | undefined;
  readonly id: string;
  readonly mode: Mode;
  /** CBOR; undefined: none. */
  readonly input: Uint8Array | undefined;
  /** Why no request can be made: found when the handle was made, told at its use. */
  readonly invalid: ActorError | undefined;
}

/** byAddress is a target by type and key. What the wire cannot carry is refused here, all other rules are the gateway's [ADDR-1]. */
export function byAddress(type: string, key: ActorKey | undefined, mode: Mode): Target {
  const parts: readonly unknown[] = Array.isArray(key) ? [...(key as readonly string[])] : key === undefined ? [] : [key];
  const valid = type !== "" && [type, ...parts].every((part) => typeof part === "string" && isWellFormed(part));
  return {
    address: { namespace: "", type, key: parts as readonly string[] },
    id: "",
    mode,
    input: undefined,
    invalid: valid ? undefined : raise("request.invalid_address"),
  };
}

/** byId is a target by the actor's id. */
export function byId(id: string): Target {
  const valid = typeof id === "string" && id !== "" && isWellFormed(id);
  const invalid = valid ? undefined : raise("request.invalid_address", "The actor id is malformed.");
  return { address: undefined, id, mode: "", input: undefined, invalid };
}

/** segmentOf is the URL form of a target [ADDR-3] [ADDR-4]. */
export function segmentOf(target: { readonly address: Address | undefined; readonly id: string }): string {
  if (target.address === undefined) return `@${escape(target.id)}`;
  return escape(target.address.type) + target.address.key.map((part) => `:${escape(part)}`).join("");
}

/** parseSegment reads the URL form of an address; undefined: it is none. */
export function parseSegment(segment: string): Address | undefined {
  try {
    const [type, ...key] = segment.split(":").map(decodeURIComponent);
    return type ? { namespace: "", type, key } : undefined;
  } catch {
    return undefined; // an escape that is none
  }
}

/** escape encodes all but A–Z a–z 0–9 - _ . ~, and a part of only dots whole. */
function escape(part: string): string {
  const escaped = encodeURIComponent(part).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return /^\.+$/.test(escaped) ? escaped.replaceAll(".", "%2E") : escaped;
}
