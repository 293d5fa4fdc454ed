// What the generated code makes of a frame, in the form of our own messages: the other side of every comparison.
import type { Frame } from "../src/gen/stagedoor/runner/v1alpha1/runner_pb.ts";

const enums: Record<string, readonly string[]> = {
  ran: ["", "no", "yes", "maybe"],
  reconnect: ["", "same", "any", "never"],
  outcome: ["", "slept", "destroyed", "crashed", "fenced", "startFailed"],
  intent: ["", "sleep", "destroy"],
  durability: ["", "volatile", "fast", "disk", "replicated"],
  concurrency: ["", "serial", "interleaved"],
  "stopActor.reason": ["", "sleep", "destroy", "migrate", "drain", "fenced"],
  "cancelCall.reason": ["", "caller", "deadline", "disconnected", "stopping"],
};

/** Fields that only a later issue gives a meaning. */
const unused = new Set(["schedules", "preload", "preloaded"]);

/** plain gives the frame's message; fields that are not there are left out, as are undefined ones of ours by tidy. */
export function plain(frame: Frame): Record<string, unknown> {
  const { case: kind, value } = frame.kind;
  const m = convert(value, kind ?? "") as Record<string, unknown>;
  if (kind === "unsupported") return { kind, number: m["kind"], id: m["number"] };
  if (kind === "principal") m["principalKind"] = m["kind"];
  return { ...m, kind };
}

/** tidy drops what is undefined, and metadata that is empty, from a message of ours or of theirs. */
export function tidy(v: unknown): unknown {
  if (v instanceof Uint8Array) return Buffer.from(v).toString("hex");
  if (Array.isArray(v)) return v.map(tidy);
  if (typeof v !== "object" || v === null) return v;
  const out: Record<string, unknown> = {};
  for (const [k, x] of Object.entries(v)) {
    if (x !== undefined && !(k === "metadata" && (x as Uint8Array).length === 0)) out[k] = tidy(x);
  }
  return out;
}

function convert(v: unknown, at: string): unknown {
  if (typeof v === "bigint") return at.endsWith("nonce") ? v : Number(v);
  if (v instanceof Uint8Array || typeof v !== "object" || v === null) return v;
  if (Array.isArray(v)) return v.map((x) => convert(x, at));
  const out: Record<string, unknown> = {};
  for (const [k, x] of Object.entries(v)) {
    if (k.startsWith("$") || unused.has(k)) continue;
    const names = enums[`${at}.${k}`] ?? enums[k];
    out[k] = names !== undefined && typeof x === "number" ? (names[x] ?? "") : convert(x, k === "nonce" ? "nonce" : k);
  }
  return out;
}
