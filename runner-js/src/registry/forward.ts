import { errorAnswer } from "./answers.ts";

// The gateway's HTTP actions [HTTP-1] [HTTP-2], sent on as they come, in both directions as streams. Only what clients may do
// passes: a gateway without tokens takes everybody for an admin, and this address is open to more than it is. And only the
// headers that mean something to the gateway: cookies of the application's site stay here.

const requestHeaders = new Set([
  "accept",
  "access-control-request-headers",
  "access-control-request-method",
  "authorization",
  "content-type",
  "idempotency-key",
  "origin",
  "stagedoor-deadline-ms",
  "stagedoor-mode",
  "stagedoor-namespace",
  "traceparent",
  "tracestate",
]);

/** Headers about one hop, and those about a form of the body that fetch has undone. */
const droppedAnswerHeaders = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "keep-alive",
  "proxy-authenticate",
  "proxy-connection",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** The largest body that is sent on. The gateway has its own, smaller bounds. */
export const maxForwardedBytes = 16 << 20;

/** A little more than the gateway's longest deadline [CALL-4]. */
const forwardTimeoutMs = 11 * 60_000;

/** Whether a path behind the base path is one of the gateway's that are sent on. */
export function isForwarded(path: string): boolean {
  return /^\/v1\/actors\/[^/]+(\/actions\/[^/]+)?$/.test(path);
}

/** Sends a request on to the gateway, and its answer back. */
export async function forward(request: Request, path: string, endpoint: string): Promise<Response> {
  const length = Number(request.headers.get("content-length") ?? 0);
  if (length > maxForwardedBytes) return tooLarge();
  const url = new URL(request.url);
  const body = request.body === null || request.method === "GET" || request.method === "HEAD" ? null : request.body.pipeThrough(bounded());
  try {
    const answer = await fetch(`${endpoint}${path}${url.search}`, {
      method: request.method,
      headers: headersForGateway(request.headers, url),
      body,
      redirect: "manual",
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(forwardTimeoutMs)]),
      // Needed for a body that is a stream; the type of fetch does not know it.
      ...({ duplex: "half" } as object),
    });
    return new Response(answer.body, { status: answer.status, headers: headersForCaller(answer.headers) });
  } catch (error) {
    if (isTooLarge(error)) return tooLarge();
    if (request.signal.aborted) return errorAnswer(499, "action.canceled", "The caller canceled the call.");
    return errorAnswer(503, "client.unreachable", "The gateway cannot be reached.", true);
  }
}

function headersForGateway(headers: Headers, url: URL): Headers {
  const sent = new Headers({ "accept-encoding": "identity" });
  for (const [name, value] of headers) {
    // A page of this very server is of the same origin here, and would not be at the gateway [HTTP-7].
    if (name === "origin" && value === url.origin) continue;
    if (requestHeaders.has(name)) sent.set(name, value);
  }
  return sent;
}

function headersForCaller(headers: Headers): Headers {
  const named = (headers.get("connection") ?? "").toLowerCase().split(/\s*,\s*/);
  const sent = new Headers();
  for (const [name, value] of headers) {
    if (!droppedAnswerHeaders.has(name) && !named.includes(name)) sent.set(name, value);
  }
  return sent;
}

class TooLarge extends Error {
  readonly limitBytes = maxForwardedBytes;
}

function bounded(): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > maxForwardedBytes) controller.error(new TooLarge());
      else controller.enqueue(chunk);
    },
  });
}

/** fetch wraps what ended the body. */
function isTooLarge(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof TooLarge) return true;
  return false;
}

function tooLarge(): Response {
  return errorAnswer(413, "request.too_large", `The body has more than ${maxForwardedBytes} bytes.`);
}
