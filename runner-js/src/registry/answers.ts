/** Any page may read what these answers say: it is public. */
const openToAll = { "access-control-allow-origin": "*" } as const;

/** JSON that may be read by any page, and is not to be kept. */
export function publicJson(status: number, body: unknown): Response {
  return json(status, body, openToAll);
}

/** The answer to a preflight for a public document. */
export function preflight(): Response {
  return new Response(null, { status: 204, headers: { ...openToAll, "access-control-allow-methods": "GET, HEAD, OPTIONS", "access-control-allow-headers": "*" } });
}

/** An error in the gateway's own form [HTTP-4]. */
export function errorAnswer(status: number, name: string, message: string, retryable = false): Response {
  const [group, code] = name.split(".");
  return json(status, { error: { group, code, message, retryable, ran: "no" } }, {});
}

function json(status: number, body: unknown, headers: Readonly<Record<string, string>>): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}
