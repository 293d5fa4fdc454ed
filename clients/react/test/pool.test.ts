import { ActorError } from "@stagedoor/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { identify } from "../src/identity.ts";
import { Pool, type Wanted } from "../src/pool.ts";
import { standIn } from "./stand-in.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const ann: Wanted = { name: "room", key: ["lobby"], params: { name: "ann" }, noCreate: false, creation: {} };

function setUp() {
  const parts = standIn();
  const pool = new Pool(parts.client);
  return { ...parts, source: (wanted: Wanted) => pool.source(wanted, identify(wanted)) };
}

describe("a source", () => {
  test("opens nothing before somebody subscribes", () => {
    const { source, asked } = setUp();
    const lobby = source(ann);
    expect(lobby.current()).toBe(lobby.idle);
    expect(asked).toEqual([]);
  });

  test("of the same identity shares one connection", () => {
    const { source, opened } = setUp();
    const first = source(ann);
    const second = source({ ...ann, key: ["lobby"], params: { name: "ann" } });
    first.subscribe(() => {});
    second.subscribe(() => {});
    expect(opened).toHaveLength(1);
    expect(second.current()).toBe(first.current());
  });

  test.each<[string, Partial<Wanted>]>([
    ["another name", { name: "hall" }],
    ["another key", { key: ["lobby", ""] }],
    ["other params", { params: { name: "bob" } }],
    ["no params", { params: undefined }],
    ["noCreate", { noCreate: true }],
  ])("with %s has another connection", (_, change) => {
    const { source, opened } = setUp();
    source(ann).subscribe(() => {});
    source({ ...ann, ...change }).subscribe(() => {});
    expect(opened).toHaveLength(2);
    expect(source(ann).idle.hash).not.toBe(source({ ...ann, ...change }).idle.hash);
  });

  test("tells the client how to create the actor, as it was said, or not to", () => {
    const { source, asked } = setUp();
    const creation = { createWithInput: undefined, createInRegion: "eu" };
    source({ ...ann, creation }).subscribe(() => {});
    source({ ...ann, creation, noCreate: true }).subscribe(() => {});
    expect(asked).toEqual([
      ["getOrCreate", "room", ["lobby"], { params: { name: "ann" }, createWithInput: undefined, createInRegion: "eu" }],
      ["get", "room", ["lobby"], { params: { name: "ann" } }],
    ]);
    expect(asked[0]).toHaveProperty([3, "createWithInput"]);
  });
});

describe("a connection", () => {
  test("is closed a tick after its last user has left", () => {
    const { source, opened } = setUp();
    const leave = [source(ann).subscribe(() => {}), source(ann).subscribe(() => {})];
    leave[0]!();
    leave[0]!();
    vi.runAllTimers();
    expect(opened[0]!.disposals).toBe(0);
    leave[1]!();
    expect(opened[0]!.disposals).toBe(0);
    vi.runAllTimers();
    expect(opened[0]!.disposals).toBe(1);
    expect(source(ann).current()).toMatchObject({ connection: null, connStatus: "idle" });
  });

  test("stays when its user is back within the tick", () => {
    const { source, opened } = setUp();
    source(ann).subscribe(() => {})();
    source(ann).subscribe(() => {});
    vi.runAllTimers();
    expect(opened).toHaveLength(1);
    expect(opened[0]!.disposals).toBe(0);
  });

  test("that is over for good is opened anew by who comes after all have left, not by one more", () => {
    const { source, opened } = setUp();
    const leave = source(ann).subscribe(() => {});
    opened[0]!.become("idle");
    const leaveToo = source(ann).subscribe(() => {});
    expect(opened).toHaveLength(1);
    leave();
    leaveToo();
    source(ann).subscribe(() => {});
    expect(opened).toHaveLength(2);
    opened[0]!.become("connected");
    expect(source(ann).current()).toMatchObject({ connection: opened[1], connStatus: "connecting" });
  });

  test("tells each user of its status, transport and errors; an error lasts until it is open", () => {
    const { source, opened } = setUp();
    const seen = [vi.fn(), vi.fn()];
    for (const onChange of seen) source(ann).subscribe(onChange);
    const error = new ActorError({ group: "actor", code: "start_failed", message: "It could not start." });
    opened[0]!.fail(error);
    expect(source(ann).current()).toMatchObject({ connStatus: "connecting", isConnected: false, error });
    opened[0]!.become("connected");
    expect(source(ann).current()).toMatchObject({ connStatus: "connected", isConnected: true, error: null });
    opened[0]!.go("webtransport");
    expect(source(ann).current()).toMatchObject({ connStatus: "connected", transport: "webtransport" });
    for (const onChange of seen) expect(onChange).toHaveBeenCalledTimes(3);
  });
});
