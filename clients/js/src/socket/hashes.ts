// The certificates of a gateway in development, which browsers take by their hashes [TLS-1].

import { messageOf } from "../error.ts";

export type Hashes = readonly Uint8Array<ArrayBuffer>[];

/** fetchHashes is the hashes that the gateway's metadata names; none: its certificate is one that browsers take anyway. */
export async function fetchHashes(base: string, signal: AbortSignal): Promise<Hashes> {
  const metadata = await fetchMetadata(base, signal);
  const { certificateHashes } = metadata as { readonly certificateHashes?: unknown };
  const list = Array.isArray(certificateHashes) ? certificateHashes.filter((one) => typeof one === "string") : [];
  return list.map((text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
}

/** fetchMetadata is what a gateway says of itself; it throws where there is none. */
export async function fetchMetadata(base: string, signal: AbortSignal): Promise<object> {
  const response = await fetch(`${base}/v1/metadata`, { headers: { accept: "application/json" }, cache: "no-store", signal });
  if (!response.ok) throw new Error(`the gateway's metadata has status ${response.status}`);
  let body: unknown;
  try {
    body = await response.json();
  } catch (cause) {
    throw new Error(`the gateway's metadata cannot be read: ${messageOf(cause)}`, { cause });
  }
  if (typeof body !== "object" || body === null) throw new Error("the gateway has no metadata");
  return body;
}
