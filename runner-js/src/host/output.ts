import { eventCost } from "../link/port.ts";
import type { ActorReady, CallResult, ConnectionClose, ConnectionState, Emit, FenceReached, KvRead } from "../wire/messages.ts";
import type { Connection } from "./connection.ts";

/** ConnOutput is an output about one connection. */
export type ConnOutput = (ConnectionState | ConnectionClose) & {
  /** Whose ref changes when the actor is adopted. */
  readonly of: Connection;
};

/** Output is what an actor sends in order: outputs of the protocol, and what must not overtake them. */
export type Output = CallResult | Emit | ConnOutput | FenceReached | KvRead | ActorReady;

/** sizeOf is at least what an output takes on the link, and in what the gateway holds. */
export function sizeOf(m: Output): number {
  const envelope = 64;
  switch (m.kind) {
    case "callResult":
      return envelope + (m.output?.length ?? 0) + (m.error === undefined ? 0 : 3 * m.error.message.length + (m.error.metadata?.length ?? 0) + envelope);
    case "emit":
      return envelope + 3 * m.event.length + m.args.length + 10 * ((m.to?.length ?? 0) + (m.except?.length ?? 0));
    case "connectionState":
      return envelope + m.state.length;
    case "connectionClose":
      return envelope + 3 * m.reason.length;
    default:
      return envelope;
  }
}

/** sizesOf is the sum. */
export function sizesOf(outputs: readonly Output[]): number {
  let sum = 0;
  for (const m of outputs) sum += sizeOf(m);
  return sum;
}

/** costOf is what an output takes of the credit for events [LINK-18]. */
export function costOf(m: Output): number {
  return m.kind === "emit" ? eventCost(m.event, m.args) : 0;
}

/** isRepeatable tells an output that means something in another session [LEASE-4]. */
export function isRepeatable(m: Output): boolean {
  return m.kind === "emit" || m.kind === "connectionState" || m.kind === "connectionClose";
}
