import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { ConnectionOptions } from "node:tls";
import { parseEndpoint } from "./endpoint.ts";
import { Hosting } from "./hosting.ts";
import type { LinkLog } from "./log.ts";
import type { Host } from "./port.ts";

export type { LinkLog } from "./log.ts";
export type { Host, Port, Seat, SessionInfo } from "./port.ts";

/** How long runLink waits for its actors to stop. */
export const DEFAULT_DRAIN_TIMEOUT_MS = 30_000;

/** LinkOptions say where the gateway is and who this runner is. */
export interface LinkOptions {
  /**
   * ws://, wss:// (http:// and https:// are the same; /runner/v1alpha1 is added if there is no path), tcp://host:port,
   * tls://host:port or unix:///path. What stands before an @ is ignored.
   */
  readonly endpoint: string;
  /** Authenticates the runner. */
  readonly token?: string | undefined;
  /** Groups runners. Default: the gateway's pool. */
  readonly pool?: string | undefined;
  /** Names this process within the pool; a second link of the same name replaces the first [LINK-6]. Default: host, process id and randomness. */
  readonly instance?: string | undefined;
  /** That of the user's code: runners of the highest take new actors [LINK-12]. Default: 0. */
  readonly version?: number | undefined;
  readonly region?: string | undefined;
  /** For display. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Of wss, https and tls endpoints. Default: the system's roots. */
  readonly tls?: ConnectionOptions | undefined;
  readonly host: Host;
  readonly log: LinkLog;
  /** Begins the orderly end: the actors are handed over [LINK-10]. */
  readonly signal: AbortSignal;
  /** Bounds the wait for actors to stop. Default: DEFAULT_DRAIN_TIMEOUT_MS. */
  readonly drainTimeoutMs?: number | undefined;
  /** Called once, behind the first Welcome. */
  readonly onReady?: (() => void) | undefined;
}

/**
 * runLink hosts actors until the signal is given, then hands them over and resolves. A lost link is made again: at once if
 * actors wait for it, then after growing, random pauses [LINK-11]; actors do not notice where session or actors can be taken up
 * again [LINK-16] [LEASE-4]. It rejects with an ActorError when the gateway will not have this runner [LINK-5], with a TypeError
 * for a malformed endpoint or version.
 */
export async function runLink(options: LinkOptions): Promise<void> {
  const { host, log, signal, version = 0 } = options;
  if (!Number.isSafeInteger(version) || version < 0) throw new TypeError("the version of a runner is a whole number from 0");
  const identity = {
    endpoint: parseEndpoint(options.endpoint),
    token: options.token ?? "",
    pool: options.pool ?? "",
    instance: options.instance || defaultInstance(),
    version,
    region: options.region ?? "",
    labels: options.labels ?? {},
    tls: options.tls,
  };
  const hosting = new Hosting(identity, host, log, signal, options.drainTimeoutMs ?? DEFAULT_DRAIN_TIMEOUT_MS);
  hosting.onReady = options.onReady;
  await hosting.serve();
}

function defaultInstance(): string {
  return `${hostname().slice(0, 64)}-${process.pid}-${randomBytes(5).toString("hex")}`;
}
