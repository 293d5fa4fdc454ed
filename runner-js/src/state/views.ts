// Views and what they show. A view of an object, an array or a typed array is a Proxy; a Map, Set or Date in the state is its
// own view, with a prototype that tracks: so it stays what it is for everything that looks inside.
import type { Root } from "./root.ts";

/** Node is what is known of a view. */
export interface Node {
  readonly root: Root;
  /** The value itself. */
  readonly target: object;
  /** In so many containers it stands, where it was first met. */
  readonly depth: number;
}

const nodes = new WeakMap<object, Node>();

/** Whether views give out the values themselves, as an encoder wants them. */
let bare = false;

/** nodeOf is what is known of a view; undefined: it is none. */
export function nodeOf(view: object): Node | undefined {
  return nodes.get(view);
}

/** know makes a view known. */
export function know(view: object, node: Node): void {
  nodes.set(view, node);
}

/** raw is what a view shows, or the value itself. */
export function raw<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  const node = nodes.get(value);
  return node === undefined ? value : (node.target as T);
}

/** isBare tells whether views are to give out the values themselves now. */
export function isBare(): boolean {
  return bare;
}

/** barely runs a function that only reads; inside it views give out the values themselves. */
export function barely<A, R>(read: (value: A) => R, value: A): R {
  const before = bare;
  bare = true;
  try {
    return read(value);
  } finally {
    bare = before;
  }
}
