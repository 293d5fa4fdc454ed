import { registry } from "./gen/codes.ts";
import type { ErrorCode, OwnCode } from "./gen/codes.ts";

/** Ran says whether user code ran for a request that failed; "" is not known, or not about a request [ERR-4]. */
export type Ran = "no" | "yes" | "maybe" | "";

/** ErrorFields are what an ActorError is made of. */
export interface ErrorFields {
  readonly group: string;
  readonly code: string;
  readonly message: string;
  readonly metadata?: unknown;
  readonly retryable?: boolean | undefined;
  readonly ran?: Ran | undefined;
  readonly retryAfterMs?: number | undefined;
}

/**
 * ActorError is every error of this package: of the actor, of the gateway, or of the client itself. (group, code) is one of
 * the closed registry (ErrorCode), or of group `user` with a code of the application's own [ERR-1] [ERR-3].
 */
export class ActorError extends Error {
  readonly group: string;
  readonly code: string;
  /** What the thrower of a UserError gave along; undefined: nothing. */
  readonly metadata: unknown;
  /** The same request may succeed later. */
  readonly retryable: boolean;
  readonly ran: Ran;
  /** After how many milliseconds it is worth another try; 0: not known. */
  readonly retryAfterMs: number;

  constructor(fields: ErrorFields, options?: ErrorOptions) {
    super(fields.message, options);
    this.name = "ActorError";
    this.group = fields.group;
    this.code = fields.code;
    this.metadata = fields.metadata;
    this.retryable = fields.retryable ?? false;
    this.ran = fields.ran ?? "";
    this.retryAfterMs = fields.retryAfterMs ?? 0;
  }

  /** is tells whether something is an ActorError, and, if a name is given, the one of that `group.code`. */
  static is(error: unknown, name?: ErrorCode | `user.${string}`): error is ActorError {
    return error instanceof ActorError && (name === undefined || `${error.group}.${error.code}` === name);
  }

  /** The class, group.code and the message. */
  override toString(): string {
    return `ActorError: ${this.group}.${this.code}: ${this.message}`;
  }
}

/** raise makes an error of this package's own. message "": the registry's text. */
export function raise(name: OwnCode, message = "", fields: { readonly ran?: Ran; readonly cause?: unknown } = {}): ActorError {
  const entry = registry[name];
  const [group, code] = name.split(".") as [string, string];
  return new ActorError(
    { group, code, message: message || entry.text, retryable: entry.retryable, ran: fields.ran ?? entry.ran },
    fields.cause === undefined ? undefined : { cause: fields.cause },
  );
}

/** withRan is the same error with another answer to the question whether user code ran. */
export function withRan(error: ActorError, ran: Ran): ActorError {
  const { group, code, message, metadata, retryable, retryAfterMs, cause } = error;
  return new ActorError({ group, code, message, metadata, retryable, retryAfterMs, ran }, cause === undefined ? undefined : { cause });
}

/** messageOf is what anything that was thrown says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
