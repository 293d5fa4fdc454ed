import { negotiate, type Feature } from "../wire/features.ts";
import type { Limits, Welcome } from "../wire/messages.ts";
import { MAX_TIMEOUT_MS } from "./clock.ts";
import type { SessionTimeouts } from "./port.ts";

/** Terms are what a Welcome says, with a default for what it does not. */
export interface Terms {
  readonly features: ReadonlySet<Feature>;
  readonly limits: Limits;
  readonly eventWindow: number;
  readonly linkWindow: number;
  readonly maxEventCost: number;
  readonly timeouts: SessionTimeouts;
  readonly pingMs: number;
  readonly lostMs: number;
  readonly resumeMs: number;
}

const MIB = 1 << 20;

const defaultLimits: Limits = {
  maxMessage: 16 * MIB,
  maxCallsPerActor: 1024,
  maxState: 8 * MIB,
  maxKvKey: 2 << 10,
  maxKvValue: MIB,
  maxKvBatch: 4 * MIB,
  maxKvOperations: 1024,
  maxCommit: 14 * MIB,
  maxOutput: MIB,
  maxEvent: MIB,
  maxErrorMetadata: 16 << 10,
  maxConnectionState: 64 << 10,
  maxReadsPerActor: 64,
  maxGroupOutputs: 4096,
  maxGroupBytes: 8 * MIB,
  maxHeldBytes: 32 * MIB,
  maxUnackedBytes: 16 * MIB,
  eventWindow: 8 * MIB,
  linkWindow: 64 * MIB,
  maxConnectionsPerActor: 100_000,
};

/** The longest event name, with what every event costs besides its bytes. */
const EVENT_OVERHEAD = 64 + 128;

export function termsOf(m: Welcome): Terms {
  const features = negotiate(m.features);
  const limits = limitsOf(m.limits);
  // A group may use up half of either window, since the gateway raises an offset when half of it has left at the latest; so an
  // event that would cost more is too large [GATE-4] [LINK-18].
  const eventWindow = features.has("credit") ? limits.eventWindow : Infinity;
  const linkWindow = features.has("credit") ? limits.linkWindow : Infinity;
  const maxEventCost = Math.min(eventWindow, linkWindow) / 2;
  return {
    features,
    limits: { ...limits, maxEvent: Math.min(limits.maxEvent, Math.max(0, Math.floor(maxEventCost - EVENT_OVERHEAD))) },
    eventWindow,
    linkWindow,
    maxEventCost,
    timeouts: timeoutsOf(m.timeoutsMs),
    pingMs: Math.min(m.pingMs || 3_000, MAX_TIMEOUT_MS),
    lostMs: m.lostMs || 15_000,
    resumeMs: m.resumeMs || 5_000,
  };
}

function limitsOf(said: Limits): Limits {
  const limits: Record<string, number> = { ...defaultLimits };
  for (const [name, value] of Object.entries(said) as [string, number][]) if (value > 0) limits[name] = value;
  return limits as unknown as Limits;
}

function timeoutsOf(ms: Readonly<Record<string, number>>): SessionTimeouts {
  return {
    actionMs: ms["action"] || 60_000,
    startMs: ms["start"] || 30_000,
    stopMs: ms["stop"] || 15_000,
    hookMs: ms["hook"] || 30_000,
    sleepAfterMs: ms["sleep_after"] || 30_000,
  };
}
