// From a frame to a message.
import { decodeCold, type ColdIn } from "./cold-decode.ts";
import { malformed } from "./fault.ts";
import { MAX_LINK_FRAME, type Envelope } from "./frame.ts";
import * as hot from "./hot-decode.ts";
import * as kinds from "./kinds.ts";
import type { Ack, Call, CancelCall, CommitResult, ConnectionOpen, Credit, KvResult, Part, Ping, Pong, Resumed, StartActor } from "./messages.ts";
import { Reader } from "./reader.ts";
import { decodeConnectionOpen, decodeStartActor } from "./start-decode.ts";

/** GatewayMessage is what a gateway says. */
export type GatewayMessage =
  | Ack
  | Call
  | CancelCall
  | ColdIn
  | CommitResult
  | ConnectionOpen
  | Credit
  | KvResult
  | Part
  | Ping
  | Pong
  | Resumed
  | StartActor;

// Decoding is not interrupted, so one reader does for all.
const reader = new Reader();

/** decode reads the message of a frame. undefined: an unknown kind, or one that only runners send [FRAME-4]. */
export function decode(e: Envelope): GatewayMessage | undefined {
  if (kinds.isLinkKind(e.kind) && e.end - e.start > MAX_LINK_FRAME) throw malformed("a link frame over 4 KiB"); // [LINK-2]
  const r = reader.over(e.buf, e.start, e.end);
  switch (e.kind) {
    case kinds.CALL:
      return hot.decodeCall(r);
    case kinds.COMMIT_RESULT:
      return hot.decodeCommitResult(r);
    case kinds.KV_RESULT:
      return hot.decodeKvResult(r);
    case kinds.CANCEL_CALL:
      return hot.decodeCancelCall(r);
    case kinds.PART:
      return hot.decodePart(r);
    case kinds.PING:
      return hot.decodePing(r);
    case kinds.PONG:
      return hot.decodePong(r);
    case kinds.ACK:
      return hot.decodeAck(r);
    case kinds.RESUMED:
      return hot.decodeResumed(r);
    case kinds.CREDIT:
      return hot.decodeCredit(r);
    case kinds.START_ACTOR:
      return decodeStartActor(r);
    case kinds.CONNECTION_OPEN:
      return decodeConnectionOpen(r);
    default:
      return decodeCold(e.kind, new Uint8Array(e.buf.buffer, e.buf.byteOffset + e.start, e.end - e.start));
  }
}
