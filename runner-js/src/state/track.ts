import { ArrayNode } from "./arrays.ts";
import { isPlain, isTypedArray } from "./kinds.ts";
import { MemoryNode, viewMemory } from "./memory.ts";
import { adopt } from "./natives.ts";
import { ObjectNode, view } from "./objects.ts";
import type { Root } from "./root.ts";
import { nodeOf } from "./views.ts";

/** track is the view of an object of the state that stands in so many containers. The same object has the same view. */
export function track(value: object, root: Root, depth: number): object {
  const known = root.views.get(value);
  if (known !== undefined) return known;
  const made = make(value, root, depth);
  if (!(made instanceof ArrayBuffer)) root.views.set(value, made);
  return made;
}

function make(value: object, root: Root, depth: number): object {
  if (Array.isArray(value)) return view(new ArrayNode(root, value as unknown[], depth));
  if (isPlain(value)) return view(new ObjectNode(root, value, depth));
  if (isTypedArray(value)) return viewMemory(new MemoryNode(root, value, depth));
  if (value instanceof ArrayBuffer) {
    root.touch(); // what is written into it cannot be seen
    return value;
  }
  return nodeOf(value) === undefined ? adopt(value, root, depth) : value;
}
