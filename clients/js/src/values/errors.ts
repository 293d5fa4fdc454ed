/**
 * NotStorableError refuses a value that has no form in CBOR: functions, symbols, instances of classes, cycles and the like.
 * `path` says where it stands, for example `state.users[3].callback`.
 */
export class NotStorableError extends TypeError {
  readonly path: string;

  constructor(path: string, what: string) {
    super(`${path} cannot be stored or sent: ${what}`);
    this.name = "NotStorableError";
    this.path = path;
  }
}

/** InvalidPayloadError refuses bytes, or JSON, that are not one value of the forms that are carried [PAY-4] [JSON-2]. */
export class InvalidPayloadError extends TypeError {
  constructor(what: string) {
    super(what);
    this.name = "InvalidPayloadError";
  }
}
