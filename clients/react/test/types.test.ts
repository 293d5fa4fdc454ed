import type { ActorConn, ActorHandle, AnyRegistry } from "@stagedoor/client";
import { createRivetKit, createRivetKitWithClient, createStagedoor, type Client, type RivetKit, type UseActorResult } from "@stagedoor/react";
import { actor, event, setup } from "stagedoor";
import { expectTypeOf, test } from "vitest";

const counter = actor({
  state: { count: 0 },
  actions: {
    increment: (c, amount: number) => (c.state.count += amount),
    users: { rename: async (_c, from: string, to: string) => ({ from, to }) },
  },
});
const room = actor({
  state: {},
  createConnState: (_c, params: { name: string }) => ({ name: params.name }),
  events: { said: event<{ from: string; text: string }>(), cleared: event<void>() },
  actions: {},
});
const game = actor({ createState: (_c, input: { mode: "ranked" | "open" }) => ({ mode: input.mode }), actions: {} });
const registry = setup({ use: { counter, room, game } });
type Kit = RivetKit<typeof registry>;

// The bodies are for the compiler alone: hooks run nowhere but in components.
const forTheCompiler = (_body: (kit: Kit) => void) => {};

test("all ways to make the hooks know the registry", () => {
  expectTypeOf(registry).toExtend<AnyRegistry>();
  expectTypeOf(createRivetKit<typeof registry>).returns.toEqualTypeOf<Kit>();
  expectTypeOf(createStagedoor<typeof registry>).returns.toEqualTypeOf<Kit>();
  expectTypeOf((client: Client<typeof registry>) => createRivetKitWithClient(client)).returns.toEqualTypeOf<Kit>();
});

test("actions have their arguments and results", () => {
  forTheCompiler(({ useActor }) => {
    const { connection, handle } = useActor({ name: "counter", key: ["a"] });
    expectTypeOf(connection).toEqualTypeOf<ActorConn<typeof counter> | null>();
    expectTypeOf(handle).toEqualTypeOf<ActorHandle<typeof counter> | null>();
    expectTypeOf(connection!.increment).toEqualTypeOf<(amount: number) => Promise<number>>();
    expectTypeOf(connection!.users.rename).returns.resolves.toEqualTypeOf<{ from: string; to: string }>();
    // @ts-expect-error no such action
    void connection?.decrement(1);
    // @ts-expect-error a number is wanted
    void connection?.increment("1");
  });
});

test("names of actors, keys, input and params are checked", () => {
  forTheCompiler(({ useActor }) => {
    // @ts-expect-error no such actor
    useActor({ name: "timer", key: ["a"] });
    // @ts-expect-error a key is needed
    useActor({ name: "counter" });
    // @ts-expect-error of text
    useActor({ name: "counter", key: [1] });
    useActor({ name: "game", key: "a", createWithInput: { mode: "ranked" }, createInRegion: "eu" });
    // @ts-expect-error no such mode
    useActor({ name: "game", key: "a", createWithInput: { mode: "casual" } });
    useActor({ name: "room", key: [], params: { name: "ann" }, enabled: false, noCreate: true });
    // @ts-expect-error a name is wanted
    useActor({ name: "room", key: [], params: { nickname: "ann" } });
  });
});

test("declared events have their payloads; where none are declared, any event will do", () => {
  forTheCompiler(({ useActor }) => {
    const lobby = useActor({ name: "room", key: "lobby", params: { name: "ann" } });
    lobby.useEvent("said", (message) => expectTypeOf(message).toEqualTypeOf<{ from: string; text: string }>());
    lobby.useEvent("cleared", () => {});
    // @ts-expect-error no such event
    lobby.useEvent("shouted", () => {});
    // @ts-expect-error not its payload
    lobby.useEvent("said", (_message: { from: number }) => {});
    const a = useActor({ name: "counter", key: "a" });
    a.useEvent("count", (value: number) => value);
  });
});

test("without a registry everything goes", () => {
  expectTypeOf(createRivetKit).returns.toExtend<{ useActor: unknown }>();
  forTheCompiler(() => {
    const { useActor } = createRivetKit("http://127.0.0.1:6420");
    const any = useActor({ name: "whatever", key: ["a"] });
    void any.connection?.["do"](1);
    any.useEvent("something", (_a: number, _b: string) => {});
  });
  expectTypeOf<UseActorResult<typeof counter>>().toHaveProperty("hash");
});
