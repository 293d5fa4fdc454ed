// Which components share a connection: those whose options say the same actor, asked for in the same way, with the same params.
import { encodeState } from "@stagedoor/client/values";

/** What decides which connection a component gets. */
export interface Identity {
  readonly name: string;
  readonly key: readonly string[];
  readonly params: unknown;
  readonly noCreate: boolean;
}

/**
 * A string that is equal for equal identities, and only for them: the deterministic encoding knows all values that params
 * can have, whatever the order of their properties. It holds the params, so it stays in here. Params that cannot be encoded
 * are a NotStorableError.
 */
export function identify({ name, key, params, noCreate }: Identity): string {
  let text = JSON.stringify([name, key, noCreate]);
  for (const byte of encodeState(params, { root: "params" })) text += String.fromCharCode(byte);
  return text;
}

/** What is shown of an identity: 14 hexadecimal digits that tell nothing of it. */
export function digest(identity: string): string {
  // Two lanes of multiplication and xor by turns (cyrb53): well spread, but no secret and no proof. Sharing compares whole identities.
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < identity.length; i++) {
    const code = identity.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (2 ** 32 * (b & 0x1fffff) + (a >>> 0)).toString(16).padStart(14, "0");
}
