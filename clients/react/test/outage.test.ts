import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startGateway } from "../../js/test/gateway.ts";
import { registryOf } from "./actors.ts";
import { launchBrowser, type PageServer } from "./browser.ts";
import { Lab, serveLab } from "./lab.ts";

let browser: Browser;
let server: PageServer;
let data: string;
beforeAll(async () => {
  [browser, server, data] = await Promise.all([launchBrowser(), serveLab(19), mkdtemp(join(tmpdir(), "stagedoor-react-"))]);
});
afterAll(() => Promise.all([browser.close(), server.stop(), rm(data, { recursive: true, force: true })]));

test("a gateway that goes away and comes back is seen, and then all is as before", async () => {
  let gateway = await startGateway({ data });
  const registry = registryOf(gateway.url);
  await registry.startAndWait();
  const shown = await Lab.open(browser, server, gateway.url);
  await shown.start({ id: "ann", event: "said", options: { name: "room", key: "lobby", params: { name: "ann" } } });
  await shown.shows("ann", "connected");
  const connection = await shown.page.evaluateHandle(() => lab.actors["ann"]!.connection);

  await gateway.kill();
  await shown.shows("ann", "disconnected");
  gateway = await startGateway({ data, port: gateway.port });
  await shown.shows("ann", "connected");
  await shown.call("ann", "say", "hello again");
  expect(await shown.events()).toEqual(["ann  hello again"]);
  expect(await shown.page.evaluate((before) => lab.actors["ann"]!.connection === before, connection)).toBe(true);
  expect(await shown.page.getAttribute("#ann", "data-error")).toBe("");

  await shown.page.close();
  await registry.shutdown();
  await gateway.stop();
});
