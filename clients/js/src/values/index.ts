// Values of JavaScript as CBOR [PAY-1] to [PAY-4], and as the JSON of sessions in JSON [JSON-1] to [JSON-3]. Imports nothing of the
// rest of the package; the runner SDK uses it too.
export { decode } from "./decode.ts";
export { encode, encodeState } from "./encode.ts";
export type { EncodeOptions } from "./encode.ts";
export { fromJson, toJson } from "./json.ts";
export { InvalidPayloadError, NotStorableError } from "./errors.ts";
