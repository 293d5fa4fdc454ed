// Tracked values: what user code writes to is noticed where it is written, without copies. Imports the value codec only.
export { allowClones } from "./clone.ts";
export { Root } from "./root.ts";
export { bare } from "./bare.ts";
export { barely, raw } from "./views.ts";
