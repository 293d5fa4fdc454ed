import { describe, expect, it } from "vitest";
import { actor } from "../src/actor/actor.ts";
import { UserError } from "../src/error.ts";
import { Stage, tick } from "./host-world.ts";

const counter = actor({
  state: { count: 0 },
  actions: {
    increment: (c, by: number) => (c.state.count += by),
    get: (c) => c.state.count,
    later: async (c) => {
      c.state.count++;
      await Promise.resolve();
      return ++c.state.count;
    },
    nothing: () => undefined,
    fails: (c) => {
      c.state.count = 100;
      throw new Error("a secret");
    },
    refuses: () => {
      throw new UserError("no", { code: "nope", metadata: { why: [1] } });
    },
    function: () => ({ deep: [() => 0] }),
    "group.inner": () => "in",
  },
});

describe("calls", () => {
  it("start with version 1, then are ready", async () => {
    const stage = new Stage(counter).start();
    await tick();
    expect(stage.news()).toEqual(['commit 1 +0 state {"count":0}', "ready"]);
  });

  it("that change something are answered with their commit, in one group", async () => {
    const stage = new Stage(counter).start();
    await tick();
    stage.news();
    stage.call("increment", [2]);
    stage.call("increment", [3]);
    expect(stage.news()).toEqual([]);
    await tick();
    expect(stage.news()).toEqual(['commit 2 +2 state {"count":5}', "result 1 2", "result 2 5"]);
  });

  it("that change nothing are answered at once, without commit", async () => {
    const stage = new Stage(counter).start();
    await tick();
    stage.news();
    stage.call("get");
    expect(stage.news()).toEqual(["result 1 0"]);
    stage.call("nothing");
    expect(stage.news()).toEqual(["result 2"]);
    await tick();
    expect(stage.news()).toEqual([]);
  });

  it("behind an unanswered commit do not begin another; what accumulates goes out together", async () => {
    const stage = new Stage(counter).start();
    await tick();
    stage.acknowledge = false;
    stage.news();
    for (let i = 0; i < 3; i++) {
      stage.call("increment", [1]);
      await tick();
    }
    stage.call("get");
    expect(stage.news()).toEqual(['commit 2 +1 state {"count":1}', "result 1 1"]);
    stage.ack();
    expect(stage.news()).toEqual(['commit 3 +3 state {"count":3}', "result 2 2", "result 3 3", "result 4 3"]);
  });

  it("without change follow an unanswered commit", async () => {
    const stage = new Stage(counter).start();
    await tick();
    stage.acknowledge = false;
    stage.news();
    stage.call("increment", [1]);
    await tick();
    stage.call("get");
    expect(stage.news()).toEqual(['commit 2 +1 state {"count":1}', "result 1 1", "result 2 1"]);
  });

  it("that fail keep their changes, and say nothing of a text that is not for the caller", async () => {
    const stage = new Stage(counter).start();
    await tick();
    stage.news();
    const id = stage.call("fails");
    await tick();
    expect(stage.news()).toEqual(['commit 2 +1 state {"count":100}', `result ${id} internal.error`]);
    expect(stage.result(id)?.message).not.toContain("secret");
    expect(stage.log.lines.some(({ fields }) => (fields["error"] as Error)?.message === "a secret")).toBe(true);
  });

  it("that fail tell all in development", async () => {
    const stage = new Stage(counter, { development: true }).start();
    await tick();
    expect(stage.result(stage.call("fails"))).toBeUndefined();
    await tick();
    expect(stage.result(1)).toMatchObject({ error: "internal.error", message: "a secret" });
  });

  it("pass user errors as they stand, with metadata", async () => {
    const stage = new Stage(counter).start();
    await tick();
    const id = stage.call("refuses");
    expect(stage.result(id)).toEqual({ error: "user.nope", message: "no" });
    const sent = stage.port.sent.at(-1);
    expect(sent).toMatchObject({ kind: "callResult", error: { ran: "yes", retryable: false } });
  });

  it("of actions that are not there, or with arguments that are none, do not run", async () => {
    const stage = new Stage(counter).start();
    await tick();
    expect(stage.result(stage.call("missing"))).toMatchObject({ error: "actor.action_not_found" });
    expect(stage.result(stage.call("get", [], { args: new Uint8Array([0x01]) }))).toMatchObject({ error: "action.invalid_arguments" });
    expect(stage.result(stage.call("get", [], { args: new Uint8Array([0xff]) }))).toMatchObject({ error: "action.invalid_arguments" });
    expect(stage.result(stage.call("get", new Array(500_000).fill(0)))).toMatchObject({ error: "action.invalid_arguments" });
    expect(stage.result(stage.call("function"))).toMatchObject({ error: "internal.error" });
  });

  it("run beside each other from their first await on", async () => {
    const stage = new Stage(counter).start();
    await tick();
    stage.news();
    stage.call("later");
    stage.call("later");
    stage.call("get");
    await tick();
    expect(stage.news()).toEqual(['commit 2 +3 state {"count":4}', "result 3 2", "result 1 3", "result 2 4"]);
  });
});
