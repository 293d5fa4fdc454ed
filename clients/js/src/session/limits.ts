import { raise } from "../error.ts";
import type { ActorError } from "../error.ts";

/** limitError checks a size, or count, against a limit from Welcome; 0 or undefined: not known. */
export function limitError(limit: string, size: number, most: number | undefined): ActorError | undefined {
  if (most === undefined || most === 0 || size <= most) return undefined;
  return raise("request.too_large", `The request exceeds a limit of the gateway: ${limit} is ${most}, this has ${size}.`);
}
