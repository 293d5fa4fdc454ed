// Checked by tsc; at run time only that it compiles away.
import { describe, expectTypeOf, test } from "vitest";
import { createClient } from "../src/index.ts";
import type { ActorConn, ActorError, ActorHandle, AnyRegistry, Client, ConnStatus, EventArgs } from "../src/index.ts";

interface Context {
  readonly state: { count: number };
}

/** What `setup({use})` returns looks like this to a client. */
interface Registry {
  readonly config: {
    readonly use: {
      readonly room: {
        readonly "~types": {
          readonly actions: {
            send: (c: Context, text: string, urgent?: boolean) => { id: number };
            later: (c: Context) => Promise<Date>;
            nothing: (c: Context) => void;
            many: (c: Context, ...numbers: number[]) => number;
            action: (c: Context) => string;
            then: (c: Context) => string;
            users: { add: (c: Context, name: string) => string[]; roles: { list: (c: Context) => Map<string, bigint> } };
          };
          readonly input: { mode: string };
          readonly connParams: { token: string };
          readonly events: { message: { text: string }; move: [x: number, y: number]; tick: undefined; list: string[] };
        };
      };
      readonly plain: {
        readonly "~types": { readonly actions: object; readonly input: unknown; readonly connParams: unknown; readonly events: undefined };
      };
      readonly empty: {
        readonly "~types": { readonly actions: Record<never, never>; readonly input: unknown; readonly connParams: unknown; readonly events: Record<never, never> };
      };
    };
  };
}

type Room = Registry["config"]["use"]["room"];

declare const client: Client<Registry>;
declare const handle: ActorHandle<Room>;
declare const conn: ActorConn<Room>;
/** never is called: what stands in it is only compiled. */
const never = (_compiled: () => unknown): void => {};

describe("actions", () => {
  test("arguments and results", () => {
    never(() => {
      expectTypeOf(handle.send).parameters.toEqualTypeOf<[text: string, urgent?: boolean]>();
      expectTypeOf(handle.send("x")).toEqualTypeOf<Promise<{ id: number }>>();
      expectTypeOf(handle.later()).toEqualTypeOf<Promise<Date>>();
      expectTypeOf(handle.nothing()).toEqualTypeOf<Promise<void>>();
      expectTypeOf(handle.many(1, 2, 3)).toEqualTypeOf<Promise<number>>();
      expectTypeOf(conn.users.add("x")).toEqualTypeOf<Promise<string[]>>();
      expectTypeOf(conn.users.roles.list()).toEqualTypeOf<Promise<Map<string, bigint>>>();
    });
  });

  test("what does not compile", () => {
    never(() => {
      // @ts-expect-error a wrong name
      void handle.sent("x");
      // @ts-expect-error a wrong argument
      void handle.send(1);
      // @ts-expect-error an argument too many
      void handle.later(1);
      // @ts-expect-error an argument that is missing
      void conn.send();
      // @ts-expect-error a wrong name in a group
      void conn.users.remove("x");
      // @ts-expect-error a result of another type
      const id: string = handle.send("x");
      // @ts-expect-error there are no actions
      void client.empty.get().anything();
      return id;
    });
  });

  test("the handle's own names are its own, and handles are no promises", () => {
    never(() => {
      expectTypeOf(handle.action<string>({ name: "action" })).toEqualTypeOf<Promise<string>>();
      expectTypeOf(handle).not.toHaveProperty("then");
      expectTypeOf<Awaited<ActorHandle<Room>>>().toEqualTypeOf<ActorHandle<Room>>();
    });
  });

  test("an actor without types", () => {
    never(() => {
      const plain = client.plain.getOrCreate();
      expectTypeOf(plain.connect()).toExtend<{ connStatus: ConnStatus }>();
      return plain["anything"] as unknown;
    });
    never(() => {
      const untyped = createClient();
      expectTypeOf(untyped).toEqualTypeOf<Client<AnyRegistry>>();
      return untyped.getOrCreate("anything", ["x"]).action({ name: "send", args: [1] });
    });
  });
});

describe("events", () => {
  test("payloads", () => {
    never(() => {
      conn.on("message", (payload) => expectTypeOf(payload).toEqualTypeOf<{ text: string }>());
      conn.on("move", (x, y) => expectTypeOf([x, y] as const).toEqualTypeOf<readonly [number, number]>());
      conn.once("tick", () => {});
      conn.on("list", (list) => expectTypeOf(list).toEqualTypeOf<string[]>());
      client.plain.get().connect().on("anything", (a: number, b: string) => [a, b]);
      expectTypeOf<EventArgs<number>>().toEqualTypeOf<[payload: number]>();
      expectTypeOf<EventArgs<string | number>>().toEqualTypeOf<[payload: string | number]>();
      expectTypeOf<EventArgs<readonly string[]>>().toEqualTypeOf<[payload: readonly string[]]>();
      expectTypeOf<EventArgs<void>>().toEqualTypeOf<[]>();
      // eslint-disable-next-line @typescript-eslint/no-explicit-any
      expectTypeOf<EventArgs<any>>().toEqualTypeOf<[payload: any]>();
      expectTypeOf<EventArgs<string | undefined>>().toEqualTypeOf<[payload: string | undefined]>();
    });
  });

  test("what does not compile", () => {
    never(() => {
      // @ts-expect-error an event that is not declared
      conn.on("massage", () => {});
      // @ts-expect-error a payload of another type
      conn.on("message", (payload: string) => payload);
      // @ts-expect-error arguments of other types
      conn.once("move", (x: string) => x);
    });
  });

  test("what is told of a connection", () => {
    never(() => {
      conn.onError((error) => expectTypeOf(error).toEqualTypeOf<ActorError>());
      conn.onClose((reason) => expectTypeOf(reason).toEqualTypeOf<ActorError | undefined>());
      conn.onStatusChange((status) => expectTypeOf(status).toEqualTypeOf<ConnStatus>());
    });
  });
});

test("keys, input and params", () => {
  never(() => {
    client.room.getOrCreate(["a", "b"], { createWithInput: { mode: "x" }, params: { token: "t" } });
    client.room.get("a", { getParams: async () => ({ token: "t" }) });
    client.room.getOrCreate();
    expectTypeOf(client.room.create("a", { input: { mode: "x" } })).toEqualTypeOf<Promise<ActorHandle<Room>>>();
    expectTypeOf(client.getForId("room", "id")).toEqualTypeOf<ActorHandle<Room>>();
    expectTypeOf(handle.connect({ token: "t" })).toEqualTypeOf<ActorConn<Room>>();
    // @ts-expect-error an actor type that there is not
    void client.rooms;
    // @ts-expect-error the same in the general form
    client.get("rooms", "a");
    // @ts-expect-error a wrong input
    client.room.getOrCreate("a", { createWithInput: { mode: 1 } });
    // @ts-expect-error wrong params
    handle.connect({ token: 1 });
    // @ts-expect-error a key of numbers
    client.room.get([1]);
    // @ts-expect-error an option that there is not
    createClient({ endpiont: "http://127.0.0.1" });
  });
});
