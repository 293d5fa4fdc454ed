import { decode, encode, NotStorableError } from "@stagedoor/client/values";
import { bare, barely } from "../state/index.ts";

/** encodeValue is a value that leaves, as CBOR. Views of state in it are sent as what they show. */
export function encodeValue(value: unknown, name: string): Uint8Array {
  try {
    return barely((v) => encode(v, { root: name }), value);
  } catch (error) {
    // The view of a typed array is none to the encoder.
    const shown = error instanceof NotStorableError ? bare(value) : value;
    if (shown === value) throw error;
    return barely((v) => encode(v, { root: name }), shown);
  }
}

/** decodeValue is the value of a payload; an empty one is undefined. */
export function decodeValue(bytes: Uint8Array | undefined): unknown {
  return bytes === undefined || bytes.length === 0 ? undefined : decode(bytes);
}
