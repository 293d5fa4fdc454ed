import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { create, fromBinary, fromJson, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ChangesSchema, FrameSchema, LimitsSchema, type Frame } from "../src/gen/stagedoor/runner/v1alpha1/runner_pb.ts";
import { commitId, encodeChanges } from "../src/wire/changes.ts";
import { decode } from "../src/wire/decode.ts";
import { encodeFrame, type RunnerMessage } from "../src/wire/encode.ts";
import { WireFault } from "../src/wire/fault.ts";
import { Envelope, frameLength, HEADER } from "../src/wire/frame.ts";
import type { Changes } from "../src/wire/messages.ts";
import { Writer } from "../src/wire/writer.ts";
import { plain, tidy } from "./wire-plain.ts";

interface FrameVector {
  name: string;
  rules: string[];
  hex: string;
  encode?: boolean;
  message: Parameters<typeof fromJson>[1];
}

interface BadVector {
  name: string;
  hex: string;
  limit: number;
  failure: "framing" | "frame" | "message" | "unknown";
  kind?: number;
}

const read = (name: string) => JSON.parse(readFileSync(fileURLToPath(new URL(`../../spec/vectors/${name}`, import.meta.url)), "utf8"));
const { frames, malformed } = read("frames-runner.json") as { frames: FrameVector[]; malformed: BadVector[] };

/** This package preloads nothing: the bytes of a Hello without what a vector preloads. */
function withoutPreload(message: Frame): string | undefined {
  if (message.kind.case !== "hello" || !message.kind.value.types.some((t) => t.preload.length > 0)) return undefined;
  for (const t of message.kind.value.types) t.preload = [];
  const body = toBinary(FrameSchema, message);
  const head = Buffer.alloc(HEADER);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]).toString("hex");
}

/** What a runner says and what it is told. */
const toRunner =
  /^(call|commitResult|part|kvResult|cancelCall|welcome|reject|startActor|stopActor|connectionOpen|connectionClose|principal|adopted|drain|fence|unsupported|ping|pong|ack|credit|resumed|goodbye)$/;
const fromRunner =
  /^(callResult|commit|emit|part|kvRead|hello|actorReady|actorStopped|actorIntent|connectionClose|connectionState|hosted|drain|fenceReached|unsupported|ping|pong|ack|resumed|goodbye)$/;

function open(hex: string, limit = 16 << 20): Envelope {
  const b = Buffer.from(hex, "hex");
  const n = frameLength(b, 0, b.length, limit);
  if (n === 0) throw new WireFault("framing", "cut off");
  const e = new Envelope();
  e.read(b, HEADER, n);
  return e;
}

const plainLimits = JSON.parse(JSON.stringify(create(LimitsSchema), (k, x) => (k === "$typeName" ? undefined : typeof x === "bigint" ? Number(x) : x)));

describe("frames of the runner protocol [FRAME-1]", () => {
  for (const v of frames) {
    const message = fromJson(FrameSchema, v.message);
    const kind = message.kind.case ?? "";
    const [read, written] = [toRunner.test(kind), fromRunner.test(kind)];
    expect(read || written).toBe(true);
    if (read) test(`${v.name} is read`, () => {
      const expected = plain(message);
      if (expected["kind"] === "welcome") expected["limits"] ??= plainLimits;
      expect(tidy(decode(open(v.hex)))).toEqual(tidy(expected));
    });
    if (written && v.encode !== false) test(`${v.name} is written`, () => {
      const w = new Writer(16);
      encodeFrame(w, plain(message) as unknown as RunnerMessage);
      expect(w.view().toString("hex")).toBe(withoutPreload(message) ?? v.hex);
    });
  }
});

describe("bad frames [FRAME-2] [FRAME-3] [FRAME-4] [FRAME-5]", () => {
  for (const v of malformed) {
    test(v.name, () => {
      let e: Envelope | undefined;
      let fault: unknown;
      let message: unknown;
      try {
        e = open(v.hex, v.limit);
        message = decode(e);
      } catch (err) {
        fault = err;
      }
      if (v.failure === "unknown") {
        expect(fault).toBeUndefined();
        expect(message).toBeUndefined();
      } else {
        expect(fault).toBeInstanceOf(WireFault);
        expect((fault as WireFault).fault).toBe(v.failure === "framing" ? "framing" : "malformed");
      }
      expect(e?.kind).toBe(v.kind);
    });
  }
});

describe("commit ids [COMMIT-2]", () => {
  for (const v of read("commit-id.json").commits) {
    test(v.name, () => {
      const bytes = encodeChanges(plainChanges(v.message));
      expect(Buffer.from(bytes).toString("hex")).toBe(v.changes);
      expect(Buffer.from(commitId(bytes)).toString("hex")).toBe(v.id);
      expect(fromBinary(ChangesSchema, bytes)).toEqual(fromJson(ChangesSchema, v.message));
    });
  }
});

function plainChanges(json: Parameters<typeof fromJson>[1]): Changes {
  return fromJson(ChangesSchema, json);
}
