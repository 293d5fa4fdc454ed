// The messages of the cold path, read by the generated code.
import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import {
  GoodbyeSchema,
  Ran,
  Reconnect,
  UnsupportedSchema,
  type Error as ErrorMessage,
} from "../gen/stagedoor/common/v1alpha1/common_pb.ts";
import {
  AdoptedSchema,
  ConnectionCloseSchema,
  DrainSchema,
  FenceSchema,
  PrincipalSchema,
  RejectSchema,
  StopActorSchema,
  StopReason,
  WelcomeSchema,
  type Limits as LimitsMessage,
  type Welcome as WelcomeMessage,
} from "../gen/stagedoor/runner/v1alpha1/runner_pb.ts";
import { malformed } from "./fault.ts";
import * as kinds from "./kinds.ts";
import type { Adopted, ConnectionClose, Drain, Fence, Goodbye, Limits, Principal, Reject, StopActor, Unsupported, Welcome, WireError } from "./messages.ts";

/** ColdIn are the messages that decodeCold reads. */
export type ColdIn = Adopted | ConnectionClose | Drain | Fence | Goodbye | Principal | Reject | StopActor | Unsupported | Welcome;

const reasons = {
  [StopReason.UNSPECIFIED]: "",
  [StopReason.SLEEP]: "sleep",
  [StopReason.DESTROY]: "destroy",
  [StopReason.MIGRATE]: "migrate",
  [StopReason.DRAIN]: "drain",
  [StopReason.FENCED]: "fenced",
} as const;
const reconnects = {
  [Reconnect.UNSPECIFIED]: "",
  [Reconnect.SAME]: "same",
  [Reconnect.ANY]: "any",
  [Reconnect.NEVER]: "never",
} as const;
const rans = { [Ran.UNSPECIFIED]: "", [Ran.NO]: "no", [Ran.YES]: "yes", [Ran.MAYBE]: "maybe" } as const;

/**
 * decodeCold reads a message that the gateway sends; undefined: of a kind that it does not know. body is no Buffer, whose
 * slice does not copy.
 */
export function decodeCold(kind: number, body: Uint8Array): ColdIn | undefined {
  switch (kind) {
    case kinds.STOP_ACTOR: {
      const m = read(StopActorSchema, body);
      return { kind: "stopActor", actor: id(m.actor), reason: reasons[m.reason] ?? "", graceMs: m.graceMs };
    }
    case kinds.CONNECTION_CLOSE: {
      const m = read(ConnectionCloseSchema, body);
      return { kind: "connectionClose", actor: id(m.actor), connection: id(m.connection), code: m.code, reason: m.reason };
    }
    case kinds.FENCE: {
      const m = read(FenceSchema, body);
      return { kind: "fence", nonce: m.nonce, actor: id(m.actor) };
    }
    case kinds.PRINCIPAL: {
      const m = read(PrincipalSchema, body);
      const { subject, gone } = m;
      return { kind: "principal", principal: id(m.principal), principalKind: m.kind, subject, claims: m.claims.slice(), gone };
    }
    case kinds.ADOPTED:
      return decodeAdopted(body);
    case kinds.DRAIN: {
      const m = read(DrainSchema, body);
      return { kind: "drain", deadlineMs: m.deadlineMs, code: m.code };
    }
    case kinds.UNSUPPORTED: {
      const m = read(UnsupportedSchema, body);
      return { kind: "unsupported", number: m.kind, id: Number(m.number) };
    }
    case kinds.GOODBYE: {
      const { code, message, retryAfterMs, reconnect, address } = read(GoodbyeSchema, body);
      return { kind: "goodbye", code, message, retryAfterMs, reconnect: reconnects[reconnect] ?? "", address };
    }
    case kinds.REJECT: {
      const { code, message, retryable, protocolMin, protocolMax, retryAfterMs } = read(RejectSchema, body);
      return { kind: "reject", code, message, retryable, protocolMin, protocolMax, retryAfterMs };
    }
    case kinds.WELCOME:
      return welcomeOf(read(WelcomeSchema, body));
    default:
      return undefined;
  }
}

function decodeAdopted(body: Uint8Array): Adopted {
  const m = read(AdoptedSchema, body);
  return {
    kind: "adopted",
    old: id(m.old),
    actor: id(m.actor),
    generation: id(m.generation),
    nonce: m.nonce.slice(),
    version: id(m.version),
    restoredConnections: m.restoredConnections,
    error: m.error && errorOf(m.error),
  };
}

function errorOf(e: ErrorMessage): WireError {
  const { group, code, message, retryable, retryAfterMs } = e;
  const metadata = e.metadata.length > 0 ? e.metadata : undefined;
  return { group, code, message, metadata, retryable, ran: rans[e.ran] ?? "", retryAfterMs };
}

function welcomeOf(m: WelcomeMessage): Welcome {
  return {
    kind: "welcome",
    protocol: m.protocol,
    features: m.features,
    session: m.session.slice(),
    runner: m.runner,
    leaseMs: m.leaseMs,
    marginMs: m.marginMs,
    pingMs: m.pingMs,
    lostMs: m.lostMs,
    limits: limitsOf(m.limits),
    nowMs: Number(m.nowMs),
    resumedReceived: m.resumedReceived === undefined ? undefined : id(m.resumedReceived),
    region: m.region,
    backoffMinMs: m.backoffMinMs,
    backoffMaxMs: m.backoffMaxMs,
    development: m.development,
    gateway: m.gateway,
    timeoutsMs: m.timeoutsMs,
    resumeMs: m.resumeMs,
  };
}

function limitsOf(m: LimitsMessage | undefined): Limits {
  return {
    maxMessage: m?.maxMessage ?? 0,
    maxCallsPerActor: m?.maxCallsPerActor ?? 0,
    maxState: m?.maxState ?? 0,
    maxKvKey: m?.maxKvKey ?? 0,
    maxKvValue: m?.maxKvValue ?? 0,
    maxKvBatch: m?.maxKvBatch ?? 0,
    maxKvOperations: m?.maxKvOperations ?? 0,
    maxCommit: m?.maxCommit ?? 0,
    maxOutput: m?.maxOutput ?? 0,
    maxEvent: m?.maxEvent ?? 0,
    maxErrorMetadata: m?.maxErrorMetadata ?? 0,
    maxConnectionState: m?.maxConnectionState ?? 0,
    maxReadsPerActor: m?.maxReadsPerActor ?? 0,
    maxGroupOutputs: m?.maxGroupOutputs ?? 0,
    maxGroupBytes: m?.maxGroupBytes ?? 0,
    maxHeldBytes: m?.maxHeldBytes ?? 0,
    maxUnackedBytes: m?.maxUnackedBytes ?? 0,
    eventWindow: m === undefined ? 0 : id(m.eventWindow),
    linkWindow: m === undefined ? 0 : id(m.linkWindow),
    maxConnectionsPerActor: m?.maxConnectionsPerActor ?? 0,
  };
}

/** A number that a peer may choose freely up to 2^53 - 1 [FRAME-7]. */
function id(v: bigint): number {
  if (v > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed("a number exceeds 2^53 - 1");
  return Number(v);
}

function read<T extends DescMessage>(schema: T, body: Uint8Array): MessageShape<T> {
  try {
    return fromBinary(schema, body);
  } catch (cause) {
    throw malformed(`${schema.name}: ${(cause as Error).message}`);
  }
}
