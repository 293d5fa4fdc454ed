import { createClient } from "@stagedoor/client";
import { createRivetKit } from "@stagedoor/react";
import type { Browser } from "playwright-core";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startGateway, type Gateway } from "../../js/test/gateway.ts";
import { registryOf } from "./actors.ts";
import { launchBrowser, type PageServer } from "./browser.ts";
import { Lab, serveLab } from "./lab.ts";
import { App, type LabActor } from "./pages/app.tsx";

type Registry = ReturnType<typeof registryOf>;

let gateway: Gateway;
let registry: Registry;
let browser: Browser;
const makeClient = () => createClient<Registry>(gateway.url);
let client: ReturnType<typeof makeClient>;

beforeAll(async () => {
  [gateway, browser] = await Promise.all([startGateway(), launchBrowser()]);
  registry = registryOf(gateway.url);
  await registry.startAndWait();
  client = makeClient();
});

afterAll(async () => {
  await client.dispose();
  await registry.shutdown();
  await Promise.all([gateway.stop(), browser.close()]);
});

let rooms = 0;
let key: string;
beforeEach(() => void (key = `room-${++rooms}`));

/** A component in the room of the test. */
const ann = (change: Partial<LabActor["options"]> = {}, id = "ann"): LabActor => ({
  id,
  event: "said",
  options: { name: "room", key, params: { name: "ann" }, ...change },
});

const logOf = (room: string) => client.room.getOrCreate(room).log();
const expectLog = (room: string) => expect.poll(() => logOf(room), { timeout: 30_000 });

describe.each([19, 18] as const)("useActor of React %i", (version) => {
  let server: PageServer;
  let shown: Lab;
  beforeAll(async () => void (server = await serveLab(version)));
  afterAll(() => server.stop());
  beforeEach(async () => void (shown = await Lab.open(browser, server, gateway.url)));
  afterEach(async () => {
    await shown.page.close();
    expect(shown.complaints).toEqual([]);
  });

  test("connects once in strict mode, calls, hears, and leaves when it is unmounted", async () => {
    await shown.start(ann());
    await shown.shows("ann", "connected");
    await shown.call("ann", "say", "hello", "all");
    expect(await shown.events()).toEqual(["ann  hello all"]);
    expect(await logOf(key)).toEqual(["+ann"]);
    await shown.render();
    await expectLog(key).toEqual(["+ann", "-ann"]);
  });

  test("components that ask for the same share a connection, until the last is gone", async () => {
    await shown.start(ann(), ann({ key: [key] }, "twin"), ann({ params: { name: "bob" } }, "bob"));
    for (const id of ["ann", "twin", "bob"]) await shown.shows(id, "connected");
    expect(await shown.sharing("ann", "twin")).toBe(true);
    expect(await shown.sharing("ann", "bob")).toBe(false);
    await shown.render(ann({}, "twin"), ann({ params: { name: "bob" } }, "bob"));
    await shown.call("twin", "say", "still", "here");
    await shown.render(ann({ params: { name: "bob" } }, "bob"));
    await expectLog(key).toHaveLength(3);
    expect((await logOf(key)).toSorted()).toEqual(["+ann", "+bob", "-ann"]);
  });

  test("a component that takes the place of another in the same rendering keeps its connection", async () => {
    await shown.start(ann());
    await shown.shows("ann", "connected");
    await shown.render(ann({}, "heir"));
    await shown.shows("heir", "connected");
    await shown.call("heir", "say", "hello");
    expect(await logOf(key)).toEqual(["+ann"]);
  });

  test("another key is another actor: it leaves the first", async () => {
    await shown.start(ann());
    await shown.shows("ann", "connected");
    const next = `${key}-next`;
    await shown.render(ann({ key: next }));
    await expectLog(next).toEqual(["+ann"]);
    await expectLog(key).toEqual(["+ann", "-ann"]);
    await shown.shows("ann", "connected");
    await client.room.getOrCreate(key).say("to nobody");
    await shown.call("ann", "say", "to me");
    expect(await shown.events()).toEqual(["ann  to me"]);
  });

  test("is connected while it is enabled", async () => {
    await shown.start(ann({ enabled: false }));
    await shown.shows("ann", "idle");
    await shown.render(ann({ enabled: true }));
    await shown.shows("ann", "connected");
    await shown.render(ann({ enabled: false }));
    await shown.shows("ann", "idle");
    expect(await shown.page.evaluate(() => lab.actors["ann"])).toMatchObject({ connection: null, handle: null, error: null });
    await expectLog(key).toEqual(["+ann", "-ann"]);
    await shown.render(ann());
    await shown.shows("ann", "connected");
    expect(await logOf(key)).toEqual(["+ann", "-ann", "+ann"]);
  });

  test("useEvent calls the handler of the last rendering, for the event of the last rendering", async () => {
    await shown.start({ ...ann(), mark: "first" });
    await shown.shows("ann", "connected");
    await shown.call("ann", "say", "one");
    await shown.render({ ...ann(), mark: "second" });
    await shown.call("ann", "say", "two");
    await shown.render({ ...ann(), mark: "third", event: "sung" });
    await shown.call("ann", "say", "three");
    expect(await shown.events()).toEqual(["ann first one", "ann second two"]);
  });

  test("an actor that does not exist, and is not to be created, is an error that is shown", async () => {
    await shown.start(ann({ noCreate: true }));
    expect(await shown.error("ann")).toBe("actor.not_found");
    await shown.shows("ann", "idle");
    await logOf(key); // now it exists
    await shown.render();
    await shown.render(ann({ noCreate: true }));
    await shown.shows("ann", "connected");
    expect(await shown.page.getAttribute("#ann", "data-error")).toBe("");
  });

  test("a refusal by the actor, and a close by it, are errors that are shown", async () => {
    await shown.start(ann(), ann({ params: undefined }, "nobody"));
    expect(await shown.error("nobody")).toBe("user.nameless");
    await shown.shows("ann", "connected");
    await client.room.getOrCreate(key).disconnectAll();
    expect(await shown.error("ann")).toBe("connection.disconnected");
    await shown.shows("ann", "idle");
  });

  test("the actor is created with the component's input", async () => {
    await shown.start({ id: "game", options: { name: "game", key, createWithInput: { mode: "ranked" } } });
    await shown.shows("game", "connected");
    expect(await shown.call("game", "mode")).toBe("ranked");
  });

  test("takes over a page that a server has rendered", async () => {
    const spec = { actors: [ann()] };
    const html = renderToString(createElement(App, { spec, lab: { kit: createRivetKit(gateway.url), events: [], actors: {}, render() {} } }));
    const rendered = await serveLab(version, html);
    const hydrated = await Lab.open(browser, rendered, gateway.url);
    await hydrated.start(ann());
    await hydrated.shows("ann", "connected");
    expect(await logOf(key)).toEqual(["+ann"]);
    await hydrated.page.close();
    await rendered.stop();
    expect(hydrated.complaints).toEqual([]);
  });
});
