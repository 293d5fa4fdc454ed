// The gateway's HTTP side, for what the session has no message for: creating and resolving [HTTP-2].

import { segmentOf } from "./address.ts";
import type { Target } from "./address.ts";
import type { EndpointSource } from "./endpoint.ts";
import { ActorError, messageOf, raise } from "./error.ts";
import type { Ran } from "./error.ts";
import type { Settings } from "./options.ts";
import { decode, encode, fromJson, toJson } from "./values/index.ts";

/** Api makes requests, each bounded by waitTimeoutMs. */
export class Api {
  private readonly settings: Settings;
  private readonly source: EndpointSource;
  private readonly closed = new AbortController();

  constructor(settings: Settings, source: EndpointSource) {
    this.settings = settings;
    this.source = source;
  }

  /** close fails what is under way with client.closed. */
  close(): void {
    this.closed.abort();
  }

  /** identify is the id of the actor: it is created by POST and, if need be, by PUT, and only looked up by GET. */
  async identify(method: "POST" | "PUT" | "GET", target: Target, signal: AbortSignal | undefined): Promise<string> {
    if (target.invalid !== undefined) throw target.invalid;
    const answer = await this.request(method, target, signal);
    const id = (answer as { readonly actor?: { readonly id?: unknown } } | null)?.actor?.id;
    if (typeof id !== "string" || id === "") {
      throw raise("client.invalid_response", "The gateway's answer names no actor id.", { ran: "yes" });
    }
    return id;
  }

  private async request(method: string, target: Target, signal: AbortSignal | undefined): Promise<unknown> {
    const timeout = AbortSignal.timeout(this.settings.waitTimeoutMs);
    const any = AbortSignal.any([this.closed.signal, timeout, ...(signal ? [signal] : [])]);
    let sent = false;
    try {
      any.throwIfAborted();
      const endpoint = await aborted(this.source.get(), any);
      const url = `${endpoint.base}/v1/actors/${segmentOf(target)}`;
      const body = method === "GET" ? undefined : this.body(target.input);
      const type = this.settings.encoding === "json" ? "application/json" : "application/cbor";
      const headers: Record<string, string> = { accept: type };
      if (body !== undefined) headers["content-type"] = type;
      if (endpoint.token) headers["authorization"] = `Bearer ${endpoint.token}`;
      if (endpoint.namespace) headers["stagedoor-namespace"] = endpoint.namespace;
      sent = true;
      const response = await fetch(url, { method, headers, body: body ?? null, signal: any, redirect: "error" });
      return await this.read(response);
    } catch (error) {
      throw this.failure(error, sent, signal);
    }
  }

  private body(input: Uint8Array | undefined): BodyInit {
    const value = input === undefined ? {} : { input: decode(input) };
    return this.settings.encoding === "json" ? toJson(value) : (encode(value) as Uint8Array<ArrayBuffer>);
  }

  /** read is the body of a success; that of a refusal is thrown [HTTP-4]. */
  private async read(response: Response): Promise<unknown> {
    const bytes = new Uint8Array(await response.arrayBuffer());
    let answer: unknown;
    try {
      const isJson = response.headers.get("content-type")?.startsWith("application/json");
      answer = isJson ? fromJson(JSON.parse(new TextDecoder().decode(bytes))) : decode(bytes);
    } catch (cause) {
      throw raise("client.invalid_response", `The gateway's answer with status ${response.status} could not be decoded.`, { cause });
    }
    if (response.ok) return answer;
    throw refusal(answer, response.status);
  }

  private failure(error: unknown, sent: boolean, signal: AbortSignal | undefined): ActorError {
    if (error instanceof ActorError) return error;
    const ran: Ran = sent ? "maybe" : "no";
    if (this.closed.signal.aborted) return raise("client.closed", "", { ran });
    if (signal?.aborted) return raise("action.canceled", "", { ran, cause: signal.reason });
    if (error instanceof DOMException && error.name === "TimeoutError") return raise("action.timed_out", "", { ran, cause: error });
    const unreached = !sent || isUnreached(error);
    if (unreached) this.source.forget();
    const why = reasonOf(error);
    if (unreached) return raise("client.unreachable", `The gateway cannot be reached: ${why}`, { cause: error });
    return raise("session.lost", `The answer did not come: ${why}`, { cause: error });
  }
}

/** aborted is a promise that does not outlast a signal. */
async function aborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: () => void = () => {};
  const end = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop);
  });
  try {
    return await Promise.race([promise, end]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function refusal(answer: unknown, status: number): ActorError {
  const error = (answer as { readonly error?: Record<string, unknown> } | null)?.error;
  const { group, code, message, metadata, retryable, ran, retryAfterMs } = error ?? {};
  if (typeof group !== "string" || typeof code !== "string") {
    return raise("client.invalid_response", `The gateway answered ${status} without an error that is known.`);
  }
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

/** What Node says of a request of which nothing was sent; browsers do not tell. */
const unreachedCodes = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"]);

function isUnreached(error: unknown): boolean {
  const code = (error as { readonly cause?: { readonly code?: unknown } }).cause?.code;
  return typeof code === "string" && unreachedCodes.has(code);
}

function reasonOf(error: unknown): string {
  const cause = (error as { readonly cause?: unknown }).cause;
  return messageOf(cause instanceof Error && cause.message ? cause : error);
}
