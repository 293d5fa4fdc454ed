/** A gateway, taken apart. */
export interface Endpoint {
  /** Without credentials, and without a slash at the end. */
  readonly url: string;
  /** undefined: none was named. */
  readonly namespace: string | undefined;
  /** undefined: none was named. */
  readonly token: string | undefined;
}

/** Where the development gateway of an environment listens: STAGEDOOR_LISTEN, as the gateway itself reads it. */
export function developmentListen(env: Readonly<Record<string, string | undefined>>): string {
  return env["STAGEDOOR_LISTEN"] || "127.0.0.1:6420";
}

/** Where the development gateway of an environment is, started or not. */
export function developmentEndpoint(env: Readonly<Record<string, string | undefined>>): string {
  const listen = developmentListen(env);
  const [, host, port] = /^(.*):(\d{1,5})$/.exec(listen) ?? [];
  if (host === undefined || port === undefined) throw new TypeError(`STAGEDOOR_LISTEN is ${JSON.stringify(listen)}; write host:port`);
  const every = ["", "0.0.0.0", "[::]"].includes(host);
  return `http://${every ? "127.0.0.1" : host}:${port}`;
}

const schemes = ["http:", "https:", "ws:", "wss:"];

/** Reads `https://namespace:token@host`, of which namespace and token may be missing. `what` names its origin in errors. */
export function parseEndpoint(text: string, what: string): Endpoint {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new TypeError(`${what} is not a URL; write https://namespace:token@host`);
  }
  if (!schemes.includes(url.protocol)) {
    throw new TypeError(`${what} has the scheme ${url.protocol.slice(0, -1)}; http, https, ws or wss it may be`);
  }
  if (url.search !== "" || url.hash !== "") throw new TypeError(`${what} has a query or a fragment; write https://namespace:token@host`);
  const namespace = url.username === "" ? undefined : checkNamespace(decode(url.username, what), what);
  const token = url.password === "" ? undefined : decode(url.password, what);
  url.username = "";
  url.password = "";
  url.protocol = url.protocol === "ws:" ? "http:" : url.protocol === "wss:" ? "https:" : url.protocol;
  return { url: url.href.replace(/\/+$/, ""), namespace, token };
}

/** The one text that says it all: `https://namespace:token@host`. */
export function formatEndpoint({ url, namespace, token }: Endpoint): string {
  const full = new URL(url);
  full.username = encodeURIComponent(namespace ?? "");
  full.password = encodeURIComponent(token ?? "");
  return full.href.replace(/\/+$/, "");
}

/** 1 to 64 of [A-Za-z0-9_.-], not only dots: namespaces and actor types [ADDR-1]. */
export function isName(text: string): boolean {
  return /^[A-Za-z0-9_.-]{1,64}$/.test(text) && !/^\.+$/.test(text);
}

/** The namespace, or a TypeError. */
export function checkNamespace(namespace: string, what: string): string {
  if (!isName(namespace)) throw new TypeError(`${what}: the namespace is not 1 to 64 of [A-Za-z0-9_.-]`);
  return namespace;
}

function decode(part: string, what: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new TypeError(`${what}: namespace and token must be percent-encoded`);
  }
}
