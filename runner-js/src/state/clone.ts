import { bare } from "./bare.ts";
import { barely } from "./views.ts";

let allowed = false;

/**
 * allowClones lets structuredClone take views of the state, at which it throws otherwise since they are Proxies. For everything
 * else it stays as it is.
 */
export function allowClones(): void {
  if (allowed) return;
  allowed = true;
  const clone = globalThis.structuredClone;
  globalThis.structuredClone = function structuredClone<T>(value: T, options?: StructuredSerializeOptions): T {
    try {
      return clone(value, options);
    } catch (error) {
      const shown = bare(value);
      if (shown === value) throw error;
      return barely(() => clone(shown as T, options), undefined);
    }
  };
}
