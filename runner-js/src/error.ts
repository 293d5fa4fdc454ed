export { ActorError } from "@stagedoor/client";

/** What a UserError tells besides its message. */
export interface UserErrorOptions extends ErrorOptions {
  /** Names the failure: 1 to 64 of [A-Za-z0-9_.-]. Default: "user_error". */
  readonly code?: string;
  /** A value for the caller; at most 16 KiB encoded by default, beyond the limit it is left out. */
  readonly metadata?: unknown;
  /** The same request may succeed later. Default: false. */
  readonly retryable?: boolean;
}

/**
 * A failure of the application's own. Thrown by an action or a connection hook it reaches the caller as it stands, as
 * `user.<code>` [ERR-3]; whatever else is thrown reaches the caller as internal.error, without its text.
 */
export class UserError extends Error {
  readonly group = "user";
  readonly code: string;
  readonly metadata: unknown;
  readonly retryable: boolean;

  constructor(message: string, options: UserErrorOptions = {}) {
    super(message, options);
    this.name = "UserError";
    this.code = options.code ?? "user_error";
    this.metadata = options.metadata;
    this.retryable = options.retryable ?? false;
    if (!/^[A-Za-z0-9_.-]{1,64}$/.test(this.code)) {
      throw new TypeError(`UserError: the code ${JSON.stringify(this.code)} is not 1 to 64 of [A-Za-z0-9_.-]`);
    }
  }
}
