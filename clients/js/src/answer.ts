// What the gateway's HTTP side answers [HTTP-4].

import { ActorError, messageOf, raise } from "./error.ts";
import { decode, encode, fromJson } from "./values/index.ts";
import type { WireError } from "./wire/messages.ts";

/** readAnswer is the body of a success; that of a refusal is thrown. */
export async function readAnswer(response: Response): Promise<unknown> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  let answer: unknown;
  try {
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    answer = isJson ? fromJson(JSON.parse(new TextDecoder().decode(bytes))) : decode(bytes);
  } catch (cause) {
    throw raise("client.invalid_response", `The gateway's answer with status ${response.status} could not be decoded.`, { cause });
  }
  if (response.ok) return answer;
  const { error } = (answer as { readonly error?: unknown } | null) ?? {};
  throw errorOf(error) ?? raise("client.invalid_response", `The gateway answered ${response.status} without an error that is known.`);
}

/** errorOf is an error of an answer; undefined: it is none. */
export function errorOf(error: unknown): ActorError | undefined {
  const { group, code, message, metadata, retryable, ran, retryAfterMs } = (error ?? {}) as Record<string, unknown>;
  if (typeof group !== "string" || typeof code !== "string") return undefined;
  return new ActorError({
    group,
    code,
    message: typeof message === "string" ? message : "",
    metadata,
    retryable: retryable === true,
    ran: ran === "no" || ran === "yes" || ran === "maybe" ? ran : "",
    retryAfterMs: typeof retryAfterMs === "number" ? retryAfterMs : 0,
  });
}

/** lostError is the error of a request without answer: of one that was never sent, or of one that can have arrived. */
export function lostError(error: unknown): ActorError {
  if (isUnreached(error)) return raise("client.unreachable", `The gateway cannot be reached: ${reasonOf(error)}`, { cause: error });
  return raise("session.lost", `The answer did not come: ${reasonOf(error)}`, { cause: error });
}

/** What Node says of a request of which nothing was sent; browsers do not tell. */
const unreachedCodes = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"]);

function isUnreached(error: unknown): boolean {
  const code = (error as { readonly cause?: { readonly code?: unknown } }).cause?.code;
  return typeof code === "string" && unreachedCodes.has(code);
}

/** reasonOf is what a failed fetch says, or what lies behind it. */
export function reasonOf(error: unknown): string {
  const cause = (error as { readonly cause?: unknown }).cause;
  return messageOf(cause instanceof Error && cause.message ? cause : error);
}

/** wireError is an error as the gateway would send it. */
export function wireError({ group, code, message, metadata, retryable, ran, retryAfterMs }: ActorError): WireError {
  return { group, code, message, metadata: metadata === undefined ? undefined : encode(metadata), retryable, ran, retryAfterMs };
}
