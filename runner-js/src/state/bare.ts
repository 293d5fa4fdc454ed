import { isObject, isPlain } from "./kinds.ts";
import { nodeOf, raw } from "./views.ts";

/**
 * bare is a value of the user's with what its views show in place of them. What has none is not copied. Cycles end where the
 * encoder would end them.
 */
export function bare(value: unknown, depth = 0): unknown {
  if (!isObject(value) || depth > 65) return value;
  if (nodeOf(value) !== undefined) return raw(value);
  if (Array.isArray(value)) return replaced(value, value.map((part) => bare(part, depth + 1)));
  if (value instanceof Map) return new Map([...value].map(([key, part]) => [bare(key, depth + 1), bare(part, depth + 1)]));
  if (value instanceof Set) return new Set([...value].map((part) => bare(part, depth + 1)));
  if (!isPlain(value)) return value;
  const parts = Object.entries(value).map(([key, part]) => [key, bare(part, depth + 1)] as const);
  return parts.every(([key, part]) => value[key] === part) ? value : Object.fromEntries(parts);
}

function replaced(before: readonly unknown[], after: unknown[]): unknown {
  return after.every((part, i) => Object.is(part, before[i])) ? before : after;
}
