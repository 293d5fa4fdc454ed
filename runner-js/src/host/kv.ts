import type { Kv, KvForms, KvGetOptions, KvKey, KvListOptions, KvValue } from "../actor/kv.ts";
import type { KvEntry, KvOp } from "../wire/messages.ts";
import { checkRoom } from "./emit.ts";
import { ended, fault, quiet } from "./fault.ts";
import type { Incarnation } from "./incarnation.ts";
import { list } from "./listing.ts";
import { compare, Overlay, prefixEnd } from "./overlay.ts";
import type { Span } from "./overlay.ts";

type ValueForm = keyof KvForms;

/**
 * KvStore is `c.kv`. Writes join the tick's commit, so that they are durable with the state and the answers, or not at all, and take
 * no round trip; reads see the actor's own writes at once [KV-3].
 */
export class KvStore implements Kv {
  readonly #actor: Incarnation;

  constructor(actor: Incarnation) {
    this.#actor = actor;
  }

  get<V extends ValueForm = "text">(key: KvKey, options?: KvGetOptions<V>): Promise<KvForms[V] | null> {
    const values = this.#get([key], options?.type ?? "text");
    return quiet(values.then(([value]) => value as KvForms[V] | null));
  }

  batchGet<V extends ValueForm = "binary">(keys: readonly KvKey[], options?: KvGetOptions<V>): Promise<(KvForms[V] | null)[]> {
    return quiet(this.#get(keys, options?.type ?? "binary")) as Promise<(KvForms[V] | null)[]>;
  }

  put(key: KvKey, value: KvValue): Promise<void> {
    return this.#write(() => [this.#put(key, value)]);
  }

  batchPut(entries: readonly (readonly [key: KvKey, value: KvValue])[]): Promise<void> {
    return this.#write(() => entries.map(([key, value]) => this.#put(key, value)));
  }

  delete(key: KvKey): Promise<void> {
    return this.#write(() => [{ key: this.#key(key) }]);
  }

  batchDelete(keys: readonly KvKey[]): Promise<void> {
    return this.#write(() => keys.map((key) => ({ key: this.#key(key) })));
  }

  deleteRange(start: KvKey, end: KvKey): Promise<void> {
    return this.#write(() => {
      const { from, until } = this.#span(start, end);
      return [{ key: from, deleteUntil: until ?? new Uint8Array() }];
    });
  }

  list<V extends ValueForm = "text", K extends "text" | "binary" = "text">(
    prefix: KvKey,
    options?: KvListOptions<V, K>,
  ): Promise<[key: KvForms[K], value: KvForms[V]][]> {
    return quiet(this.#list(() => prefixSpan(bytesOf(prefix)), options));
  }

  listRange<V extends ValueForm = "text", K extends "text" | "binary" = "text">(
    start: KvKey,
    end: KvKey,
    options?: KvListOptions<V, K>,
  ): Promise<[key: KvForms[K], value: KvForms[V]][]> {
    return quiet(this.#list(() => this.#span(start, end), options));
  }

  async #list<V extends ValueForm, K extends "text" | "binary">(
    span: () => Span,
    options: KvListOptions<V, K> = {},
  ): Promise<[key: KvForms[K], value: KvForms[V]][]> {
    const { limit = 0, reverse = false } = options;
    if (!Number.isInteger(limit) || limit < 0) throw fault("kv.invalid_range", "The limit of a list is a whole number of at least 1.");
    const query = { span: span(), reverse, limit };
    if (options.limit === 0) return [];
    const entries = await list(this.#actor.reads, this.#overlay(), query);
    return entries.map(({ key, value }) => [
      formed(key, options.keyType ?? "text") as KvForms[K],
      formed(value as Uint8Array, options.type ?? "text") as KvForms[V],
    ]);
  }

  async #get(keys: readonly KvKey[], form: ValueForm): Promise<unknown[]> {
    const values = await this.#read(keys.map((key) => this.#key(key)));
    return values.map((value) => formed(value, form));
  }

  /** read gives the values in the order of the keys: what the overlay decides, and the gateway's for the rest. */
  async #read(keys: readonly Uint8Array[]): Promise<(Uint8Array | null)[]> {
    const overlay = this.#overlay();
    const values = keys.map((key) => overlay.find(key));
    const missing = keys.flatMap((_, i) => (values[i] === undefined ? [i] : []));
    const pages = [];
    // An answer is one message, so a read asks for no more than fits it if all values are as large as they may be.
    const { maxMessage, maxKvValue } = this.#actor.port.session.limits;
    const each = Math.max(1, Math.floor(maxMessage / 2 / Math.max(1, maxKvValue)));
    for (let at = 0; at < missing.length; at += each) {
      const places = missing.slice(at, at + each);
      const page = this.#page(places.map((i) => keys[i] as Uint8Array));
      pages.push(page.then((entries) => places.forEach((i, j) => (values[i] = entries[j]?.value ?? null))));
    }
    await Promise.all(pages);
    return values.map((value) => value ?? null);
  }

  async #page(keys: readonly Uint8Array[]): Promise<KvEntry[]> {
    const { entries } = await this.#actor.reads.ask({ keys });
    if (entries.length !== keys.length) throw new Error(`the gateway answered a read of ${keys.length} keys with ${entries.length} entries`);
    return entries;
  }

  /** write adds to the tick's commit, before it returns. Where much waits, who awaits it waits until that is durable. */
  #write(make: () => KvOp[]): Promise<void> {
    const actor = this.#actor;
    if (actor.over) return ended();
    const wrote = new Promise<void>((resolve) => {
      this.#add(make);
      resolve();
    });
    return actor.outbox.overfull ? quiet(wrote.then(() => actor.save())) : wrote;
  }

  #add(make: () => KvOp[]): void {
    const actor = this.#actor;
    if (!actor.port.session.features.has("kv")) throw new Error("the gateway does not offer KV");
    const ops = make();
    let bytes = 0;
    for (const op of ops) bytes += op.key.length + (op.value?.length ?? 0) + (op.deleteUntil?.length ?? 0);
    checkRoom(actor);
    if (ops.length > 0) actor.ledger.write(ops, bytes);
  }

  #put(key: KvKey, value: KvValue): KvOp {
    const bytes = bytesOf(value);
    const limit = this.#actor.port.session.limits.maxKvValue;
    if (bytes.length > limit) throw fault("kv.value_too_large", `The value has ${bytes.length} bytes, at most ${limit} are allowed.`);
    return { key: this.#key(key), value: bytes };
  }

  #key(key: KvKey): Uint8Array {
    const bytes = bytesOf(key);
    const limit = this.#actor.port.session.limits.maxKvKey;
    if (bytes.length === 0 || bytes.length > limit) throw fault("kv.key_too_large", `A key has 1 to ${limit} bytes, this one ${bytes.length}.`);
    return bytes;
  }

  #span(start: KvKey, end: KvKey): Span {
    const limit = this.#actor.port.session.limits.maxKvKey;
    const [from, until] = [bytesOf(start), bytesOf(end)];
    for (const key of [from, until]) {
      if (key.length > limit) throw fault("kv.key_too_large", `A key has 1 to ${limit} bytes, this one ${key.length}.`);
    }
    if (until.length > 0 && compare(from, until) > 0) throw fault("kv.invalid_range", "The range ends before it begins.");
    return { from, until: until.length === 0 ? undefined : until };
  }

  #overlay(): Overlay {
    const { outbox, ledger } = this.#actor;
    return new Overlay([...outbox.waiting.flatMap((group) => group.kv), ...ledger.kv]);
  }
}

function prefixSpan(prefix: Uint8Array): Span {
  return { from: prefix, until: prefix.length === 0 ? undefined : prefixEnd(prefix) };
}

/** bytesOf is a key or value as bytes of its own: the caller may go on with its. */
function bytesOf(value: KvValue): Uint8Array {
  if (typeof value === "string") return new Uint8Array(Buffer.from(value));
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value.slice(0));
  throw new TypeError("keys and values of KV are text, Uint8Array or, for values, ArrayBuffer");
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** formed is a value in the form that was asked for, a copy. */
function formed(bytes: Uint8Array | null, form: ValueForm): string | Uint8Array | ArrayBuffer | null {
  if (bytes === null) return null;
  if (form === "text") return utf8.decode(bytes);
  const copy = Uint8Array.from(bytes);
  return form === "binary" ? copy : copy.buffer;
}
