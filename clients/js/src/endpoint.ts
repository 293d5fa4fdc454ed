import { messageOf, raise } from "./error.ts";
import { settingsOf } from "./options.ts";
import type { ClientOptions } from "./options.ts";

/** Endpoint is where the gateway is, and who the client is to it. */
export interface Endpoint {
  /** `http(s)://host[:port][/base]`, without slash at its end. */
  readonly base: string;
  readonly token: string;
  readonly namespace: string;
}

/** connectUrl is the address of sessions, by WebSocket or by WebTransport [SESS-1] [SESS-19]. */
export function connectUrl(base: string, transport: "webtransport" | "websocket"): string {
  return transport === "websocket" ? `${base.replace(/^http/, "ws")}/v1/connect` : `${base.replace(/^http:/, "https:")}/v1/connect`;
}

/** parseEndpoint reads `http(s)://` or `ws(s)://[namespace:token@]host[:port][/base]`; it throws request.invalid. */
export function parseEndpoint(text: string): Endpoint {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw raise("request.invalid", "The endpoint is no URL."); // which may hold a token
  }
  const protocol = { "http:": "http:", "ws:": "http:", "https:": "https:", "wss:": "https:" }[url.protocol];
  if (protocol === undefined) throw raise("request.invalid", `The endpoint begins with ${url.protocol}// instead of http:// or https://.`);
  return {
    base: `${protocol}//${url.host}${url.pathname.replace(/\/+$/, "")}`,
    token: decodeURIComponent(url.password),
    namespace: decodeURIComponent(url.username),
  };
}

/** EndpointSource finds the gateway when it is needed, once. */
export class EndpointSource {
  private readonly find: () => string | Promise<string>;
  private readonly token: string;
  private readonly namespace: string;
  private readonly timeoutMs: number;
  private readonly closed = new AbortController();
  private found: Promise<Endpoint> | undefined;

  constructor(options: ClientOptions) {
    const { endpoint, token, namespace } = options;
    const environment = endpoint === undefined ? environmentOf() : {};
    const text = endpoint ?? environment.endpoint ?? defaultEndpoint();
    if (typeof text === "string") parseEndpoint(text); // a wrong one shows here
    this.find = typeof text === "string" ? () => text : text;
    this.token = token ?? environment.token ?? "";
    this.namespace = namespace ?? environment.namespace ?? "";
    this.timeoutMs = settingsOf(options).connectTimeoutMs;
  }

  get(): Promise<Endpoint> {
    if (this.found === undefined) {
      this.found = this.resolve();
      this.found.catch(() => this.forget()); // the next one tries again
    }
    return this.found;
  }

  /** forget has the gateway found again: it was not there. */
  forget(): void {
    this.found = undefined;
  }

  /** close gives up what is on its way. */
  close(): void {
    this.closed.abort();
  }

  private async resolve(): Promise<Endpoint> {
    const given = parseEndpoint(await this.find());
    const isRunner = new URL(given.base).pathname !== "/";
    const followed = isRunner ? await follow(given, AbortSignal.any([this.closed.signal, AbortSignal.timeout(this.timeoutMs)])) : given;
    return {
      base: followed.base,
      token: this.token || given.token || followed.token,
      namespace: this.namespace || given.namespace || followed.namespace,
    };
  }
}

/** Metadata is what a runner's address says of its gateway. */
interface Metadata {
  readonly clientEndpoint?: unknown;
  readonly clientNamespace?: unknown;
  readonly clientToken?: unknown;
}

/** follow asks an address with a path whether it is a runner's; if it has no metadata, it is a gateway's own. */
async function follow(given: Endpoint, signal: AbortSignal): Promise<Endpoint> {
  const url = `${given.base}/metadata`;
  let response: Response;
  try {
    response = await fetch(url, { headers: { accept: "application/json" }, signal });
  } catch (cause) {
    throw raise("client.unreachable", `${url} cannot be reached: ${messageOf(cause)}`, { cause });
  }
  const metadata = response.ok ? await metadataOf(response) : undefined;
  if (metadata === undefined) {
    if (response.status === 404) return given;
    throw raise("client.unreachable", `${url} answered ${response.status} without metadata.`);
  }
  const { clientEndpoint, clientNamespace, clientToken } = metadata;
  if (typeof clientEndpoint !== "string") {
    throw raise("client.unreachable", `${url} names no clientEndpoint; set publicEndpoint where the registry is set up.`);
  }
  const endpoint = parseEndpoint(clientEndpoint);
  if (given.base.startsWith("https:") && endpoint.base.startsWith("http:") && !isLoopback(new URL(endpoint.base).hostname)) {
    throw raise("request.invalid", `${url} names a gateway without TLS, which would see the token in clear; name an address of https.`);
  }
  return {
    base: endpoint.base,
    token: typeof clientToken === "string" ? clientToken : endpoint.token,
    namespace: typeof clientNamespace === "string" ? clientNamespace : endpoint.namespace,
  };
}

function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

async function metadataOf(response: Response): Promise<Metadata | undefined> {
  try {
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null ? body : undefined;
  } catch {
    return undefined; // a page of something else
  }
}

interface Environment {
  readonly endpoint?: string | undefined;
  readonly token?: string | undefined;
  readonly namespace?: string | undefined;
}

/** environmentOf is what the environment says, for a client that was told no endpoint: its token goes nowhere else. */
function environmentOf(): Environment {
  const { process } = globalThis as { readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> } };
  const env = process?.env ?? {};
  const first = (...names: string[]) => names.map((name) => env[name]).find((value) => value);
  return {
    endpoint: first("STAGEDOOR_ENDPOINT", "RIVET_ENDPOINT"),
    token: first("STAGEDOOR_CLIENT_TOKEN", "STAGEDOOR_TOKEN", "RIVET_TOKEN"),
    namespace: first("STAGEDOOR_NAMESPACE", "RIVET_NAMESPACE"),
  };
}

/** defaultEndpoint is, in a page, the runner at the page's own origin, else a development gateway on this machine. */
function defaultEndpoint(): string {
  const { location } = globalThis as { readonly location?: { readonly origin?: string } };
  return location?.origin?.startsWith("http") ? `${location.origin}/api/rivet` : "http://127.0.0.1:6420";
}
