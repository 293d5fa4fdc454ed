import { refuse, take } from "./intake.ts";
import { maxElements } from "./kinds.ts";
import { ObjectNode } from "./objects.ts";
import { nodeOf, raw } from "./views.ts";

/** ArrayNode is an array in the state, and the handler of its view. */
export class ArrayNode extends ObjectNode<unknown[]> {
  override get(target: unknown[], key: string | symbol): unknown {
    return (methods as Record<string | symbol, unknown>)[key] ?? super.get(target, key);
  }

  protected override nameOf(key: string | symbol): string {
    if (key === "length") return key;
    const index = typeof key === "string" && /^(0|[1-9]\d*)$/.test(key) ? Number(key) : Number.NaN;
    if (Number.isNaN(index)) throw refuse(this, String(key), "an array has no other properties than its elements");
    if (index >= maxElements) throw refuse(this, index, `an array has at most ${maxElements} elements`);
    return key as string;
  }

  override set(target: unknown[], key: string | symbol, value: unknown): boolean {
    if (key === "length" && typeof value === "number" && value > maxElements) throw refuse(this, value, `an array has at most ${maxElements} elements`);
    return super.set(target, key, value);
  }

  /** takeAll is what is to be stored from an index on. */
  takeAll(values: readonly unknown[], from: number): unknown[] {
    return values.map((value, i) => take(this.root, this, from + i, value));
  }

  show(value: unknown): unknown {
    return this.root.show(value, this.depth + 1);
  }
}

function nodeIn(view: unknown[]): ArrayNode {
  return nodeOf(view) as ArrayNode;
}

/** reorder is a method that moves elements and brings none: one write, without a look at each. */
function reorder(view: unknown[], run: (target: unknown[], node: ArrayNode) => unknown): unknown[] {
  const node = nodeIn(view);
  node.root.touch();
  run(node.target, node);
  return view;
}

/** search looks for the element itself, whether it is asked for by its view or by what it shows. */
function search(name: "includes" | "indexOf" | "lastIndexOf") {
  return function (this: unknown[], wanted: unknown, ...from: number[]): unknown {
    return (Array.prototype[name] as (...args: unknown[]) => unknown).call(nodeIn(this).target, raw(wanted), ...from);
  };
}

/** The methods that are not left to the array's own, since they write or compare. */
const methods = {
  push(this: unknown[], ...values: unknown[]): number {
    const node = nodeIn(this);
    if (values.length === 0) return node.target.length;
    const stored = node.takeAll(values, node.target.length);
    node.root.touch();
    return node.target.push(...stored);
  },
  unshift(this: unknown[], ...values: unknown[]): number {
    const node = nodeIn(this);
    if (values.length === 0) return node.target.length;
    const stored = node.takeAll(values, 0);
    node.root.touch();
    return node.target.unshift(...stored);
  },
  pop(this: unknown[]): unknown {
    const node = nodeIn(this);
    if (node.target.length > 0) node.root.touch();
    return node.show(node.target.pop());
  },
  shift(this: unknown[]): unknown {
    const node = nodeIn(this);
    if (node.target.length > 0) node.root.touch();
    return node.show(node.target.shift());
  },
  splice(this: unknown[], ...args: [start: number, count?: number, ...values: unknown[]]): unknown[] {
    const node = nodeIn(this);
    const stored = node.takeAll(args.slice(2), Number(args[0]) || 0);
    node.root.touch();
    const removed = Array.prototype.splice.apply(node.target, [...args.slice(0, 2), ...stored] as [number, number, ...unknown[]]);
    return removed.map((value) => node.show(value));
  },
  fill(this: unknown[], value: unknown, ...range: number[]): unknown[] {
    const stored = take(nodeIn(this).root, nodeIn(this), 0, value);
    return reorder(this, (target) => target.fill(stored, ...range));
  },
  copyWithin(this: unknown[], to: number, from: number, end?: number): unknown[] {
    return reorder(this, (target) => target.copyWithin(to, from, end));
  },
  reverse(this: unknown[]): unknown[] {
    return reorder(this, (target) => target.reverse());
  },
  sort(this: unknown[], compare?: (a: unknown, b: unknown) => number): unknown[] {
    return reorder(this, (target, node) => target.sort(compare && ((a, b) => compare(node.show(a), node.show(b)))));
  },
  includes: search("includes"),
  indexOf: search("indexOf"),
  lastIndexOf: search("lastIndexOf"),
};
Object.setPrototypeOf(methods, null);
