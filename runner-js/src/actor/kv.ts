/** A key of the KV store: text counts as its UTF-8. 1 byte to `max_kv_key` (2 KiB) [KV-1]. */
export type KvKey = string | Uint8Array;

/** A value of the KV store: text counts as its UTF-8. 0 bytes to `max_kv_value` (1 MiB) [KV-1]. */
export type KvValue = string | Uint8Array | ArrayBuffer;

/** The forms in which keys and values come back, by name. */
export interface KvForms {
  readonly text: string;
  readonly binary: Uint8Array;
  readonly arrayBuffer: ArrayBuffer;
}

/** How values come back. Default: text. */
export interface KvGetOptions<V extends keyof KvForms = "text"> {
  readonly type?: V;
}

/** How a list comes back, and what of it. */
export interface KvListOptions<V extends keyof KvForms = "text", K extends "text" | "binary" = "text"> extends KvGetOptions<V> {
  /** How keys come back. Default: text. */
  readonly keyType?: K;
  /** From the last to the first. Default: false. */
  readonly reverse?: boolean;
  /** At most so many. Default: all. */
  readonly limit?: number;
}

/**
 * The actor's KV store: keys in byte order, one key space for all operations [KV-1]. Reads see what the actor has written
 * before [KV-3]; writes are part of the turn's commit, and a batch is written whole or not at all [KV-2]. A read fails with
 * `store.unavailable` while the store is away; the caller of an action that lets it through gets `internal.error` [ERR-6].
 */
export interface Kv {
  /** The value; null: there is none. */
  get<V extends keyof KvForms = "text">(key: KvKey, options?: KvGetOptions<V>): Promise<KvForms[V] | null>;
  put(key: KvKey, value: KvValue): Promise<void>;
  delete(key: KvKey): Promise<void>;
  /** Deletes [start, end). */
  deleteRange(start: KvKey, end: KvKey): Promise<void>;
  /** The entries whose keys begin with the prefix; keys come back whole. */
  list<V extends keyof KvForms = "text", K extends "text" | "binary" = "text">(
    prefix: KvKey,
    options?: KvListOptions<V, K>,
  ): Promise<[key: KvForms[K], value: KvForms[V]][]>;
  /** The entries of [start, end). */
  listRange<V extends keyof KvForms = "text", K extends "text" | "binary" = "text">(
    start: KvKey,
    end: KvKey,
    options?: KvListOptions<V, K>,
  ): Promise<[key: KvForms[K], value: KvForms[V]][]>;
  /** The values in the order of the keys; null: there is none. Bytes, unless told otherwise. */
  batchGet<V extends keyof KvForms = "binary">(keys: readonly KvKey[], options?: KvGetOptions<V>): Promise<(KvForms[V] | null)[]>;
  batchPut(entries: readonly (readonly [key: KvKey, value: KvValue])[]): Promise<void>;
  batchDelete(keys: readonly KvKey[]): Promise<void>;
}
