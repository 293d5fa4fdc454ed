// The contract app of the Stagedoor conformance suite on the JavaScript SDK: the actor types that conformance/app/README.md describes.
// It finds its gateway by the SDK's own environment, and gates by CONFORM_GATE_URL. The files are also what `conform init --lang js`
// writes.
import { setup } from "stagedoor";
import { conn, events } from "./connected.ts";
import { counter, sleeper } from "./counter.ts";
import { crasher, echo, manifestOf } from "./echo.ts";
import { interp } from "./interp.ts";
import { kv } from "./kv.ts";
import { lifecycle } from "./lifecycle.ts";

const types = { conn, counter, crasher, echo, events, interp, kv, lifecycle, sleeper };
const names = [...Object.keys(types), "manifest"].sort();

setup({ use: { ...types, manifest: manifestOf(names) } }).startRunner();
