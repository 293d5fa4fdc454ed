// The messages of the hot path, read by hand. They alias the bytes that they were read from.
import type { Ack, Alarm, Call, CancelCall, CancelReason, CommitResult, Credit, KvEntry, KvResult, Part, Ping, Pong, Ran, Resumed, WireError } from "./messages.ts";
import type { Reader} from "./reader.ts";
import { BYTES, VARINT } from "./reader.ts";

const EMPTY = new Uint8Array(0);
const cancelReasons: readonly CancelReason[] = ["", "caller", "deadline", "disconnected", "stopping"];
const rans: readonly Ran[] = ["", "no", "yes", "maybe"];

export function decodeCall(r: Reader): Call {
  const m: Call = {
    kind: "call",
    actor: 0,
    id: 0,
    action: "",
    args: EMPTY,
    connection: 0,
    deadlineMs: 0,
    principal: 0,
    idempotencyKey: EMPTY,
    attempt: 0,
    trace: EMPTY,
    tracestate: "",
    alarm: undefined,
    oneway: false,
    nowMs: 0,
  };
  while (r.next()) {
    if (r.type === VARINT) callNumber(m, r);
    else if (r.type === BYTES) callBytes(m, r);
    else r.skip();
  }
  return m;
}

function callNumber(m: Call, r: Reader): void {
  switch (r.field) {
    case 1:
      m.actor = r.id();
      return;
    case 2:
      m.id = r.id();
      return;
    case 5:
      m.connection = r.id();
      return;
    case 6:
      m.deadlineMs = r.uint32();
      return;
    case 7:
      m.principal = r.id();
      return;
    case 9:
      m.attempt = r.uint32();
      return;
    case 13:
      m.oneway = r.bool();
      return;
    case 14:
      m.nowMs = r.time();
      return;
    default:
      r.skip();
  }
}

function callBytes(m: Call, r: Reader): void {
  switch (r.field) {
    case 3:
      m.action = r.string();
      return;
    case 4:
      m.args = r.bytes();
      return;
    case 8:
      m.idempotencyKey = r.bytes();
      return;
    case 10:
      m.trace = r.bytes();
      return;
    case 11:
      m.tracestate = r.string();
      return;
    case 12:
      m.alarm = decodeAlarm(r, m.alarm);
      return;
    default:
      r.skip();
  }
}

/** Several occurrences of a message in a field merge. */
function decodeAlarm(r: Reader, before: Alarm | undefined): Alarm {
  const m = before ?? { schedule: "", fire: 0, scheduledAtMs: 0, resumed: false };
  const outer = r.enter();
  while (r.next()) {
    if (r.field === 1 && r.type === BYTES) m.schedule = r.string();
    else if (r.field === 2 && r.type === VARINT) m.fire = r.id();
    else if (r.field === 3 && r.type === VARINT) m.scheduledAtMs = r.time();
    else if (r.field === 4 && r.type === VARINT) m.resumed = r.bool();
    else r.skip();
  }
  r.leave(outer);
  return m;
}

export function decodeCancelCall(r: Reader): CancelCall {
  const m: CancelCall = { kind: "cancelCall", actor: 0, id: 0, reason: "" };
  while (r.next()) {
    if (r.field === 1 && r.type === VARINT) m.actor = r.id();
    else if (r.field === 2 && r.type === VARINT) m.id = r.id();
    else if (r.field === 3 && r.type === VARINT) m.reason = cancelReasons[r.uint32()] ?? "";
    else r.skip();
  }
  return m;
}

export function decodeCommitResult(r: Reader): CommitResult {
  const m: CommitResult = { kind: "commitResult", actor: 0, version: 0, error: undefined };
  while (r.next()) {
    if (r.field === 1 && r.type === VARINT) m.actor = r.id();
    else if (r.field === 2 && r.type === VARINT) m.version = r.id();
    else if (r.field === 3 && r.type === BYTES) m.error = decodeError(r, m.error);
    else r.skip();
  }
  return m;
}

export function decodeError(r: Reader, before: WireError | undefined): WireError {
  const m: WireError = before ?? { group: "", code: "", message: "", metadata: undefined, retryable: false, ran: "", retryAfterMs: 0 };
  const outer = r.enter();
  while (r.next()) {
    if (r.type === BYTES) errorBytes(m, r);
    else if (r.field === 5 && r.type === VARINT) m.retryable = r.bool();
    else if (r.field === 6 && r.type === VARINT) m.ran = rans[r.uint32()] ?? "";
    else if (r.field === 7 && r.type === VARINT) m.retryAfterMs = r.uint32();
    else r.skip();
  }
  r.leave(outer);
  return m;
}

function errorBytes(m: WireError, r: Reader): void {
  if (r.field === 1) m.group = r.string();
  else if (r.field === 2) m.code = r.string();
  else if (r.field === 3) m.message = r.string();
  else if (r.field === 4) {
    const metadata = r.bytes();
    m.metadata = metadata.length > 0 ? metadata : undefined;
  } else r.skip();
}

export function decodeKvResult(r: Reader): KvResult {
  const m: KvResult = { kind: "kvResult", actor: 0, id: 0, entries: [], more: false, error: undefined };
  while (r.next()) {
    if (r.field === 1 && r.type === VARINT) m.actor = r.id();
    else if (r.field === 2 && r.type === VARINT) m.id = r.id();
    else if (r.field === 3 && r.type === BYTES) m.entries.push(decodeEntry(r));
    else if (r.field === 4 && r.type === VARINT) m.more = r.bool();
    else if (r.field === 5 && r.type === BYTES) m.error = decodeError(r, m.error);
    else r.skip();
  }
  return m;
}

function decodeEntry(r: Reader): KvEntry {
  const m: KvEntry = { key: EMPTY, value: undefined };
  const outer = r.enter();
  while (r.next()) {
    if (r.field === 1 && r.type === BYTES) m.key = r.bytes();
    else if (r.field === 2 && r.type === BYTES) m.value = r.bytes();
    else r.skip();
  }
  r.leave(outer);
  return m;
}

export function decodePart(r: Reader): Part {
  const m: Part = { kind: "part", actor: 0, data: EMPTY, last: false };
  while (r.next()) {
    if (r.field === 1 && r.type === VARINT) m.actor = r.id();
    else if (r.field === 4 && r.type === BYTES) m.data = r.bytes();
    else if (r.field === 5 && r.type === VARINT) m.last = r.bool();
    else r.skip();
  }
  return m;
}

export function decodePing(r: Reader): Ping {
  const m: Ping = { kind: "ping", nonce: 0n };
  while (r.next()) {
    if (r.field === 1 && r.type === VARINT) m.nonce = r.bigint();
    else r.skip();
  }
  return m;
}

export function decodePong(r: Reader): Pong {
  const m: Pong = { kind: "pong", nonce: 0n, leaseMs: 0, nowMs: 0 };
  while (r.next()) {
    if (r.field === 1 && r.type === VARINT) m.nonce = r.bigint();
    else if (r.field === 2 && r.type === VARINT) m.leaseMs = r.uint32();
    else if (r.field === 3 && r.type === VARINT) m.nowMs = r.time();
    else r.skip();
  }
  return m;
}

export function decodeAck(r: Reader): Ack {
  const m: Ack = { kind: "ack", received: 0 };
  while (r.next()) {
    if (r.field === 1 && r.type === VARINT) m.received = r.id();
    else r.skip();
  }
  return m;
}

export function decodeResumed(r: Reader): Resumed {
  const m: Resumed = { kind: "resumed", next: 0 };
  while (r.next()) {
    if (r.field === 1 && r.type === VARINT) m.next = r.id();
    else r.skip();
  }
  return m;
}

export function decodeCredit(r: Reader): Credit {
  const m: Credit = { kind: "credit", actor: 0, stream: 0, offset: 0 };
  while (r.next()) {
    if (r.field === 1 && r.type === VARINT) m.actor = r.id();
    else if (r.field === 2 && r.type === VARINT) m.stream = r.id();
    else if (r.field === 3 && r.type === VARINT) m.offset = r.id();
    else r.skip();
  }
  return m;
}
