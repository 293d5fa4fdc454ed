// The gateway's HTTP side, for what the session has no message for: creating and resolving [HTTP-2].

import { segmentOf } from "./address.ts";
import type { Target } from "./address.ts";
import { lostError, readAnswer, reasonOf } from "./answer.ts";
import type { EndpointSource } from "./endpoint.ts";
import { ActorError, raise } from "./error.ts";
import type { Ran } from "./error.ts";
import type { Settings } from "./options.ts";
import { decode, encode, toJson } from "./values/index.ts";

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
      return await readAnswer(response);
    } catch (error) {
      throw this.failure(error, sent, signal);
    }
  }

  private body(input: Uint8Array | undefined): BodyInit {
    const value = input === undefined ? {} : { input: decode(input) };
    return this.settings.encoding === "json" ? toJson(value) : (encode(value) as Uint8Array<ArrayBuffer>);
  }

  private failure(error: unknown, sent: boolean, signal: AbortSignal | undefined): ActorError {
    if (error instanceof ActorError) return error;
    const ran: Ran = sent ? "maybe" : "no";
    if (this.closed.signal.aborted) return raise("client.closed", "", { ran });
    if (signal?.aborted) return raise("action.canceled", "", { ran, cause: signal.reason });
    if (error instanceof DOMException && error.name === "TimeoutError") return raise("action.timed_out", "", { ran, cause: error });
    const lost = sent ? lostError(error) : raise("client.unreachable", `The gateway cannot be reached: ${reasonOf(error)}`, { cause: error });
    if (ActorError.is(lost, "client.unreachable")) this.source.forget();
    return lost;
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
