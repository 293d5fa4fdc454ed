import { refuse, take } from "./intake.ts";
import { isObject, isWellFormed } from "./kinds.ts";
import type { Plain } from "./kinds.ts";
import type { Root } from "./root.ts";
import { know } from "./views.ts";
import type { Node } from "./views.ts";

/** ObjectNode is a plain object in the state, and the handler of its view. */
export class ObjectNode<T extends object = Plain> implements ProxyHandler<T>, Node {
  readonly root: Root;
  readonly target: T;
  readonly depth: number;

  constructor(root: Root, target: T, depth: number) {
    this.root = root;
    this.target = target;
    this.depth = depth;
  }

  get(target: T, key: string | symbol): unknown {
    const value = (target as Plain)[key as string];
    if (!isObject(value)) return value;
    if (key === "__proto__" && !Object.hasOwn(target, key)) return undefined; // a key of a client's must not lead out of the state
    return this.root.show(value, this.depth + 1);
  }

  set(target: T, key: string | symbol, value: unknown): boolean {
    const name = this.nameOf(key);
    const stored = take(this.root, this, name, value);
    const before = (target as Plain)[name];
    // An object may have been written to behind our back: it counts as a write even if it is the same.
    if (Object.is(before, stored) && !(isObject(value) && value === stored) && Object.hasOwn(target, name)) return true;
    this.root.touch();
    (target as Plain)[name] = stored;
    return true;
  }

  deleteProperty(target: T, key: string | symbol): boolean {
    if (Object.hasOwn(target, key)) this.root.touch();
    return Reflect.deleteProperty(target, key);
  }

  defineProperty(target: T, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    const name = this.nameOf(key);
    const { enumerable, configurable, writable } = { ...Object.getOwnPropertyDescriptor(target, name), ...descriptor };
    if (!("value" in descriptor)) throw refuse(this, name, "it has a getter or setter");
    if (enumerable !== true || configurable !== true || writable !== true) throw refuse(this, name, "it is hidden or cannot be changed");
    return this.set(target, key, descriptor.value);
  }

  setPrototypeOf(target: T, prototype: object | null): boolean {
    return prototype === Object.getPrototypeOf(target);
  }

  /** What is frozen could not be tracked. */
  preventExtensions(): boolean {
    return false;
  }

  /** nameOf is the key of a property that may be stored. */
  protected nameOf(key: string | symbol): string {
    if (typeof key === "symbol") throw refuse(this, key.toString(), "its key is a symbol");
    if (Object.hasOwn(this.target, key)) return key;
    if (key === "__proto__") throw refuse(this, key, "it is the prototype");
    if (!isWellFormed(key)) throw refuse(this, key, "its key has a lone surrogate, which UTF-8 cannot hold");
    return key;
  }
}

/** view makes the view of a node. */
export function view<T extends object>(node: ObjectNode<T>): T {
  const proxy = new Proxy(node.target, node);
  know(proxy, node);
  return proxy;
}
