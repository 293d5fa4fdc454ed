// The messages of the client protocol as plain objects, fields named as in client.proto. Payloads are CBOR. A field that is not
// there has its proto default; only optional bytes and messages can be undefined.

import type { Ran } from "../error.ts";

/** WireError is an error as it crosses the socket. */
export interface WireError {
  readonly group: string;
  readonly code: string;
  readonly message: string;
  readonly metadata: Uint8Array | undefined;
  readonly retryable: boolean;
  readonly ran: Ran;
  readonly retryAfterMs: number;
}

/** Address names an actor by what the application calls it [ADDR-1]. Namespace "": the session's. */
export interface Address {
  readonly namespace: string;
  readonly type: string;
  readonly key: readonly string[];
}

/** Mode says what a request does when the actor does not exist; "" is getOrCreate. */
export type Mode = "" | "get" | "getOrCreate" | "create";

/** Reconnect says what to do after a deliberate close; "" is not said. */
export type Reconnect = "" | "same" | "any" | "never";

/** Received is how many counted frames of a channel have arrived. */
export interface Received {
  readonly connection: number;
  readonly frames: number;
}

export interface Call {
  readonly kind: "call";
  readonly id: number;
  readonly connection: number;
  readonly action: string;
  readonly args: Uint8Array | undefined;
  readonly deadlineMs: number;
  readonly target: Address | undefined;
  readonly targetId: string;
  readonly mode: Mode;
  readonly input: Uint8Array | undefined;
  readonly idempotencyKey: Uint8Array | undefined;
  readonly trace: Uint8Array | undefined;
  readonly tracestate: string;
  readonly oneway: boolean;
}

export interface CallResult {
  readonly kind: "callResult";
  readonly id: number;
  readonly connection: number;
  readonly output: Uint8Array | undefined;
  readonly error: WireError | undefined;
}

export interface Event {
  readonly kind: "event";
  readonly connection: number;
  readonly event: string;
  readonly args: Uint8Array | undefined;
}

/** UnreliableEvent is an Event that may be lost, doubled or late [CONN-11]. */
export interface UnreliableEvent {
  readonly kind: "unreliableEvent";
  readonly connection: number;
  readonly event: string;
  readonly args: Uint8Array | undefined;
}

/** CancelCall names the connection of the call; 0: it has none, or that has ended [SESS-12]. */
export interface CancelCall {
  readonly kind: "cancelCall";
  readonly id: number;
  readonly connection: number;
}

/** Resume asks to go on with the session whose last Welcome gave the token [SESS-15]. */
export interface Resume {
  readonly token: Uint8Array | undefined;
  readonly received: readonly Received[];
}

export interface Hello {
  readonly kind: "hello";
  readonly token: string;
  readonly namespace: string;
  readonly sdk: string;
  readonly sdkVersion: string;
  readonly features: readonly string[];
  readonly resume: Resume | undefined;
}

/** Limits of the gateway: bytes, or a count; 0: not said. */
export interface Limits {
  readonly maxMessage: number;
  readonly maxArgs: number;
  readonly maxInput: number;
  readonly maxParams: number;
  readonly maxCalls: number;
  readonly maxConnections: number;
  readonly maxSubscriptions: number;
}

export interface Welcome {
  readonly kind: "welcome";
  readonly session: string;
  readonly limits: Limits | undefined;
  readonly pingMs: number;
  readonly nowMs: number;
  readonly features: readonly string[];
  readonly gateway: string;
  readonly development: boolean;
  readonly resumeToken: Uint8Array | undefined;
  readonly resumed: boolean;
  readonly received: readonly Received[];
  readonly resumeMs: number;
}

export interface Reject {
  readonly kind: "reject";
  readonly error: WireError | undefined;
}

export interface ConnectionOpen {
  readonly kind: "connectionOpen";
  readonly connection: number;
  readonly target: Address | undefined;
  readonly targetId: string;
  readonly mode: Mode;
  readonly input: Uint8Array | undefined;
  readonly params: Uint8Array | undefined;
  readonly subscriptions: readonly string[];
}

export interface ConnectionOpened {
  readonly kind: "connectionOpened";
  readonly connection: number;
  readonly actorId: string;
  readonly connectionId: string;
}

export interface ConnectionClose {
  readonly kind: "connectionClose";
  readonly connection: number;
  readonly reason: string;
}

export interface ConnectionClosed {
  readonly kind: "connectionClosed";
  readonly connection: number;
  readonly error: WireError | undefined;
  readonly reconnect: Reconnect;
}

export interface Subscribe {
  readonly kind: "subscribe";
  readonly id: number;
  readonly connection: number;
  readonly events: readonly string[];
}

export interface Unsubscribe {
  readonly kind: "unsubscribe";
  readonly id: number;
  readonly connection: number;
  readonly events: readonly string[];
}

export interface SubscriptionResult {
  readonly kind: "subscriptionResult";
  readonly id: number;
  readonly connection: number;
  readonly error: WireError | undefined;
}

/** Unsupported names a frame that the peer does not know: by the number of its kind, in JSON by its type's name. */
export interface Unsupported {
  readonly kind: "unsupported";
  readonly unsupported: number | string;
  readonly number: number;
}

export interface ProtocolError {
  readonly kind: "protocolError";
  readonly error: WireError | undefined;
}

/** Ping is answered with a Pong of the same nonce, of 64 bits. */
export interface Ping {
  readonly kind: "ping";
  readonly nonce: bigint;
}

export interface Pong {
  readonly kind: "pong";
  readonly nonce: bigint;
  readonly nowMs: number;
}

export interface Ack {
  readonly kind: "ack";
  readonly received: readonly Received[];
}

/** ConnectionResume begins a stream of WebTransport that goes on with a connection: so many of its frames have come [SESS-20]. */
export interface ConnectionResume {
  readonly kind: "connectionResume";
  readonly connection: number;
  readonly frames: number;
}

/** ConnectionResumed answers ConnectionResume, likewise. */
export interface ConnectionResumed {
  readonly kind: "connectionResumed";
  readonly connection: number;
  readonly frames: number;
}

export interface Goodbye {
  readonly kind: "goodbye";
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs: number;
  readonly reconnect: Reconnect;
  readonly address: string;
}

/** Message is one frame of the client protocol. */
export type Message =
  | Call
  | CallResult
  | Event
  | CancelCall
  | Hello
  | Welcome
  | Reject
  | ConnectionOpen
  | ConnectionOpened
  | ConnectionClose
  | ConnectionClosed
  | Subscribe
  | Unsubscribe
  | SubscriptionResult
  | Unsupported
  | ProtocolError
  | Ping
  | Pong
  | Ack
  | ConnectionResume
  | ConnectionResumed
  | Goodbye
  | UnreliableEvent;

export type MessageKind = Message["kind"];

/** Draft is a message to be sent, without the fields that are at their default. */
export type Draft = DraftOf<Message>;

type DraftOf<M> = M extends Message ? Pick<M, "kind"> & { readonly [F in keyof M]?: M[F] | undefined } : never;

/** isCounted tells the frames that have a number on their channel [SESS-12]. */
export function isCounted(kind: MessageKind): boolean {
  return !uncounted.has(kind);
}

const uncounted = new Set<MessageKind>([
  "hello",
  "welcome",
  "reject",
  "ping",
  "pong",
  "ack",
  "connectionResume",
  "connectionResumed",
  "goodbye",
  "unreliableEvent",
]);
