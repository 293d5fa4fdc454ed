// What brings an actor, and a connection, to it: read by hand, since their texts must come as they are (the generated code
// takes away a byte order mark), and copied, since they stay as long as the actor.
import type { ConnectionOpen, GoneConnection, StartActor } from "./messages.ts";
import type { Reader} from "./reader.ts";
import { BYTES, VARINT } from "./reader.ts";

const EMPTY = new Uint8Array(0);

export function decodeStartActor(r: Reader): StartActor {
  const m: StartActor = {
    kind: "startActor",
    actor: 0,
    id: "",
    namespace: "",
    type: "",
    key: [],
    generation: 0,
    nonce: EMPTY,
    version: 0,
    create: false,
    input: undefined,
    state: undefined,
    deadlineMs: 0,
    nowMs: 0,
    restoredConnections: 0,
    attempt: 0,
    trace: EMPTY,
    region: "",
    goneConnections: [],
  };
  while (r.next()) {
    if (r.type === VARINT) startNumber(m, r);
    else if (r.type === BYTES) startBytes(m, r);
    else r.skip();
  }
  return m;
}

function startNumber(m: StartActor, r: Reader): void {
  switch (r.field) {
    case 1:
      m.actor = r.id();
      return;
    case 6:
      m.generation = r.id();
      return;
    case 8:
      m.version = r.id();
      return;
    case 9:
      m.create = r.bool();
      return;
    case 15:
      m.deadlineMs = r.uint32();
      return;
    case 16:
      m.nowMs = r.time();
      return;
    case 17:
      m.restoredConnections = r.uint32();
      return;
    case 18:
      m.attempt = r.uint32();
      return;
    default:
      r.skip();
  }
}

function startBytes(m: StartActor, r: Reader): void {
  switch (r.field) {
    case 2:
      m.id = r.string();
      return;
    case 3:
      m.namespace = r.string();
      return;
    case 4:
      m.type = r.string();
      return;
    case 5:
      m.key.push(r.string());
      return;
    case 7:
      m.nonce = r.bytes().slice();
      return;
    case 10:
      m.input = r.bytes().slice();
      return;
    case 11:
      m.state = r.bytes().slice();
      return;
    case 19:
      m.trace = r.bytes().slice();
      return;
    case 20:
      m.region = r.string();
      return;
    case 21:
      m.goneConnections.push(decodeGone(r));
      return;
    default:
      r.skip();
  }
}

function decodeGone(r: Reader): GoneConnection {
  const m: GoneConnection = { connectionId: "", params: EMPTY, state: undefined };
  const outer = r.enter();
  while (r.next()) {
    if (r.type !== BYTES) r.skip();
    else if (r.field === 1) m.connectionId = r.string();
    else if (r.field === 2) m.params = r.bytes().slice();
    else if (r.field === 3) m.state = r.bytes().slice();
    else r.skip();
  }
  r.leave(outer);
  return m;
}

export function decodeConnectionOpen(r: Reader): ConnectionOpen {
  const m: ConnectionOpen = {
    kind: "connectionOpen",
    actor: 0,
    call: 0,
    connection: 0,
    params: EMPTY,
    claims: EMPTY,
    principal: 0,
    state: undefined,
    subscriptions: [],
    restored: false,
    transport: "",
    trace: EMPTY,
    connectionId: "",
    deadlineMs: 0,
  };
  while (r.next()) {
    if (r.type === VARINT) openNumber(m, r);
    else if (r.type === BYTES) openBytes(m, r);
    else r.skip();
  }
  return m;
}

function openNumber(m: ConnectionOpen, r: Reader): void {
  switch (r.field) {
    case 1:
      m.actor = r.id();
      return;
    case 2:
      m.call = r.id();
      return;
    case 3:
      m.connection = r.id();
      return;
    case 6:
      m.principal = r.id();
      return;
    case 9:
      m.restored = r.bool();
      return;
    case 13:
      m.deadlineMs = r.uint32();
      return;
    default:
      r.skip();
  }
}

function openBytes(m: ConnectionOpen, r: Reader): void {
  switch (r.field) {
    case 4:
      m.params = r.bytes().slice();
      return;
    case 5:
      m.claims = r.bytes().slice();
      return;
    case 7:
      m.state = r.bytes().slice();
      return;
    case 8:
      m.subscriptions.push(r.string());
      return;
    case 10:
      m.transport = r.string();
      return;
    case 11:
      m.trace = r.bytes().slice();
      return;
    case 12:
      m.connectionId = r.string();
      return;
    default:
      r.skip();
  }
}
