// The messages of client.proto as data: what protobuf needs to know to write and read them.

import type { Message, MessageKind } from "./messages.ts";

/**
 * FieldType is how a field is written.
 * - `number`: an unsigned integer up to 2^53 − 1; `uint32`; `int64`, read inexactly beyond 2^53; `uint64`, a bigint
 * - `bytes` are absent when empty, `presentBytes` count when empty
 * - `strings` and other lists are repeated
 */
export type FieldType =
  | "number"
  | "uint32"
  | "int64"
  | "uint64"
  | "bool"
  | "string"
  | "strings"
  | "bytes"
  | "presentBytes"
  | readonly string[] // an enum, by number
  | { readonly message: Schema; readonly repeated?: boolean };

export interface Field {
  readonly number: number;
  readonly name: string;
  readonly type: FieldType;
}

/** Schema is the fields of a message in ascending order of their numbers. */
export type Schema = readonly Field[];

/** schema makes a Schema of `{name: [number, type]}`, whose numbers ascend. */
function schema(fields: Readonly<Record<string, readonly [number, FieldType]>>): Schema {
  return Object.entries(fields).map(([name, [number, type]]) => ({ name, number, type }));
}

const mode = ["", "get", "getOrCreate", "create"] as const;
const reconnect = ["", "same", "any", "never"] as const;
const ran = ["", "no", "yes", "maybe"] as const;

const error: FieldType = {
  message: schema({
    group: [1, "string"],
    code: [2, "string"],
    message: [3, "string"],
    metadata: [4, "bytes"],
    retryable: [5, "bool"],
    ran: [6, ran],
    retryAfterMs: [7, "uint32"],
  }),
};

const address: FieldType = { message: schema({ namespace: [1, "string"], type: [2, "string"], key: [3, "strings"] }) };

const received: FieldType = { message: schema({ connection: [1, "number"], frames: [2, "number"] }), repeated: true };

const limits: FieldType = {
  message: schema({
    maxMessage: [1, "uint32"],
    maxArgs: [2, "uint32"],
    maxInput: [3, "uint32"],
    maxParams: [4, "uint32"],
    maxCalls: [5, "uint32"],
    maxConnections: [6, "uint32"],
    maxSubscriptions: [7, "uint32"],
  }),
};

const resume: FieldType = { message: schema({ token: [1, "bytes"], received: [2, received] }) };

/** kinds is the number of each message in Frame, and its schema. */
export const kinds: Readonly<Record<MessageKind, { readonly number: number; readonly schema: Schema }>> = {
  call: {
    number: 1,
    schema: schema({
      id: [1, "number"],
      connection: [2, "number"],
      action: [3, "string"],
      args: [4, "bytes"],
      deadlineMs: [5, "uint32"],
      target: [6, address],
      targetId: [7, "string"],
      mode: [8, mode],
      input: [9, "presentBytes"],
      idempotencyKey: [10, "bytes"],
      trace: [11, "bytes"],
      tracestate: [12, "string"],
      oneway: [13, "bool"],
    }),
  },
  callResult: {
    number: 2,
    schema: schema({ id: [1, "number"], connection: [2, "number"], output: [3, "presentBytes"], error: [4, error] }),
  },
  event: { number: 3, schema: schema({ connection: [1, "number"], event: [2, "string"], args: [3, "bytes"] }) },
  cancelCall: { number: 12, schema: schema({ id: [1, "number"], connection: [2, "number"] }) },
  hello: {
    number: 16,
    schema: schema({
      token: [1, "string"],
      namespace: [2, "string"],
      sdk: [3, "string"],
      sdkVersion: [4, "string"],
      features: [5, "strings"],
      resume: [6, resume],
    }),
  },
  welcome: {
    number: 17,
    schema: schema({
      session: [1, "string"],
      limits: [2, limits],
      pingMs: [3, "uint32"],
      nowMs: [4, "int64"],
      features: [5, "strings"],
      gateway: [6, "string"],
      development: [7, "bool"],
      resumeToken: [8, "bytes"],
      resumed: [9, "bool"],
      received: [10, received],
      resumeMs: [11, "uint32"],
    }),
  },
  reject: { number: 18, schema: schema({ error: [1, error] }) },
  connectionOpen: {
    number: 20,
    schema: schema({
      connection: [1, "number"],
      target: [2, address],
      targetId: [3, "string"],
      mode: [4, mode],
      input: [5, "presentBytes"],
      params: [6, "bytes"],
      subscriptions: [7, "strings"],
    }),
  },
  connectionOpened: { number: 21, schema: schema({ connection: [1, "number"], actorId: [2, "string"], connectionId: [3, "string"] }) },
  connectionClose: { number: 22, schema: schema({ connection: [1, "number"], reason: [2, "string"] }) },
  connectionClosed: { number: 23, schema: schema({ connection: [1, "number"], error: [2, error], reconnect: [3, reconnect] }) },
  subscribe: { number: 30, schema: schema({ id: [1, "number"], connection: [2, "number"], events: [3, "strings"] }) },
  unsubscribe: { number: 31, schema: schema({ id: [1, "number"], connection: [2, "number"], events: [3, "strings"] }) },
  subscriptionResult: { number: 32, schema: schema({ id: [1, "number"], connection: [2, "number"], error: [3, error] }) },
  unsupported: { number: 62, schema: schema({ unsupported: [1, "uint32"], number: [2, "number"] }) },
  protocolError: { number: 63, schema: schema({ error: [1, error] }) },
  ping: { number: 100, schema: schema({ nonce: [1, "uint64"] }) },
  pong: { number: 101, schema: schema({ nonce: [1, "uint64"], nowMs: [2, "int64"] }) },
  ack: { number: 102, schema: schema({ received: [1, received] }) },
  connectionResume: { number: 103, schema: schema({ connection: [1, "number"], frames: [2, "number"] }) },
  connectionResumed: { number: 104, schema: schema({ connection: [1, "number"], frames: [2, "number"] }) },
  goodbye: {
    number: 105,
    schema: schema({
      code: [1, "string"],
      message: [2, "string"],
      retryAfterMs: [3, "uint32"],
      reconnect: [4, reconnect],
      address: [5, "string"],
    }),
  },
  unreliableEvent: { number: 106, schema: schema({ connection: [1, "number"], event: [2, "string"], args: [3, "bytes"] }) },
};

const byNumber = new Map(Object.entries(kinds).map(([kind, { number, schema }]) => [number, { kind: kind as Message["kind"], schema }]));

/** kindOf is what a number in Frame stands for; undefined: nothing that is known. */
export function kindOf(number: number): { readonly kind: MessageKind; readonly schema: Schema } | undefined {
  return byNumber.get(number);
}
