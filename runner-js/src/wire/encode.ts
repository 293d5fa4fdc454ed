// From a message to a frame.
import { encodeCold, type ColdOut } from "./cold-encode.ts";
import { HEADER } from "./frame.ts";
import * as hot from "./hot-encode.ts";
import * as kinds from "./kinds.ts";
import type { Ack, CallResult, Commit, Emit, KvRead, Part, Ping, Pong, Resumed } from "./messages.ts";
import type { Writer } from "./writer.ts";

/** RunnerMessage is what a runner says. */
export type RunnerMessage = Ack | CallResult | ColdOut | Commit | Emit | KvRead | Part | Ping | Pong | Resumed;

const kindOf: Record<RunnerMessage["kind"], number> = {
  callResult: kinds.CALL_RESULT,
  commit: kinds.COMMIT,
  emit: kinds.EMIT,
  part: kinds.PART,
  kvRead: kinds.KV_READ,
  hello: kinds.HELLO,
  actorReady: kinds.ACTOR_READY,
  actorStopped: kinds.ACTOR_STOPPED,
  actorIntent: kinds.ACTOR_INTENT,
  connectionClose: kinds.CONNECTION_CLOSE,
  connectionState: kinds.CONNECTION_STATE,
  hosted: kinds.HOSTED,
  drain: kinds.DRAIN,
  fenceReached: kinds.FENCE_REACHED,
  unsupported: kinds.UNSUPPORTED,
  ping: kinds.PING,
  pong: kinds.PONG,
  ack: kinds.ACK,
  resumed: kinds.RESUMED,
  goodbye: kinds.GOODBYE,
};

/** encodeFrame appends the message as one frame with its length prefix. */
export function encodeFrame(w: Writer, m: RunnerMessage): void {
  const start = w.pos;
  w.reserve(HEADER);
  w.pos += HEADER;
  encodeEnvelope(w, m);
  w.buf.writeUInt32BE(w.pos - start - HEADER, start);
}

/** encodeEnvelope appends the frame without its prefix. */
export function encodeEnvelope(w: Writer, m: RunnerMessage): void {
  const kind = kindOf[m.kind];
  const hint = hot.sizeHint(m);
  switch (m.kind) {
    case "callResult": {
      const mark = w.open(kind, hint);
      hot.encodeCallResult(w, m);
      w.close(mark, hint);
      return;
    }
    case "commit": {
      const mark = w.open(kind, hint);
      hot.encodeCommit(w, m);
      w.close(mark, hint);
      return;
    }
    case "emit": {
      const mark = w.open(kind, hint);
      hot.encodeEmit(w, m);
      w.close(mark, hint);
      return;
    }
    case "part":
    case "kvRead":
    case "ping":
    case "pong":
    case "ack":
    case "resumed": {
      const mark = w.open(kind, hint);
      encodeOther(w, m);
      w.close(mark, hint);
      return;
    }
    default:
      w.present(kind, encodeCold(m));
  }
}

function encodeOther(w: Writer, m: Part | KvRead | Ping | Pong | Ack | Resumed): void {
  switch (m.kind) {
    case "part":
      return hot.encodePart(w, m);
    case "kvRead":
      return hot.encodeKvRead(w, m);
    case "ping":
      return hot.encodePing(w, m);
    case "pong":
      return hot.encodePong(w, m);
    case "ack":
      return hot.encodeAck(w, m);
    case "resumed":
      return hot.encodeResumed(w, m);
  }
}
