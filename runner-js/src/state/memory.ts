import { refuse } from "./intake.ts";
import type { TypedArray } from "./kinds.ts";
import type { Root } from "./root.ts";
import { know, nodeOf } from "./views.ts";
import type { Node } from "./views.ts";

type AnyFunction = (...args: unknown[]) => unknown;

/** Methods of typed arrays, and of Node's Buffer, that only read. */
const readers = new RegExp(
  "^(at|entries|every|filter|find.*|forEach|includes|indexOf|join|keys|lastIndexOf|map|reduce.*|slice|some|to.*|values|with" +
    "|equals|compare|read.*|(ascii|utf8|hex|base64|base64url|latin1|ucs2)Slice)$",
);

/**
 * MemoryNode is a typed array in the state, and the handler of its view. The view is no typed array to what looks inside, such as
 * TextDecoder: that is given a `slice()`.
 */
export class MemoryNode implements ProxyHandler<TypedArray>, Node {
  readonly root: Root;
  readonly target: TypedArray;
  readonly depth: number;
  readonly #methods = new Map<string | symbol, AnyFunction>();

  constructor(root: Root, target: TypedArray, depth: number) {
    this.root = root;
    this.target = target;
    this.depth = depth;
  }

  get(target: TypedArray, key: string | symbol): unknown {
    if (key === "buffer") this.root.touch(); // what is written through it cannot be seen
    const value: unknown = Reflect.get(target, key, target);
    if (typeof value !== "function" || key === "constructor") return value;
    let method = this.#methods.get(key);
    if (method === undefined) {
      method = this.#method(key, value as AnyFunction);
      this.#methods.set(key, method);
    }
    return method;
  }

  set(target: TypedArray, key: string | symbol, value: unknown): boolean {
    if (typeof key !== "string" || !/^\d+$/.test(key)) throw refuse(this, String(key), "a typed array has no other properties than its elements");
    const at = Number(key);
    const probe = new (target.constructor as new (length: number) => TypedArray)(1);
    Reflect.set(probe, 0, value, probe); // also where it is not a number, which throws before anything changes
    if (at >= target.length || Object.is(target[at], probe[0])) return true;
    this.root.touch();
    return Reflect.set(target, key, value, target);
  }

  defineProperty(target: TypedArray, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    return this.set(target, key, descriptor.value);
  }

  preventExtensions(): boolean {
    return false;
  }

  #method(name: string | symbol, method: AnyFunction): AnyFunction {
    const { target, root, depth } = this;
    if (name === "subarray") {
      return (...args) => viewMemory(new MemoryNode(root, method.apply(target, args) as TypedArray, depth));
    }
    const reads = typeof name === "symbol" || readers.test(name);
    return function (this: unknown, ...args) {
      if (!reads) root.touch();
      const result = method.apply(target, args.map(shownBy));
      return result === target ? this : result;
    };
  }
}

/** shownBy is the typed array itself where a view of one is an argument. */
function shownBy(value: unknown): unknown {
  const node = typeof value === "object" && value !== null ? nodeOf(value) : undefined;
  return node instanceof MemoryNode ? node.target : value;
}

/** viewMemory makes the view of a typed array. */
export function viewMemory(node: MemoryNode): TypedArray {
  const proxy = new Proxy(node.target, node);
  know(proxy, node);
  return proxy;
}
