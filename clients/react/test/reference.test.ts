// The React blocks of the reference document, as they stand there, with the packages under the names that they have there. The
// page is served beside the registry's handler, as in an application: a client that is told no endpoint finds the gateway by it.
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { createClient } from "@stagedoor/client";
import type { Browser } from "playwright-core";
import { toNodeHandler, type Registry } from "stagedoor";
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from "vitest";
import { startGateway, type Gateway } from "../../js/test/gateway.ts";
import { bundle, temporary } from "../../../runner-js/test/program.ts";
import { bundlePage, launchBrowser, openPage, servePage } from "./browser.ts";

const blockUrl = (file: string) => new URL(`../../../runner-js/test/reference/react/${file}`, import.meta.url);

let gateway: Gateway;
let browser: Browser;
let registry: Registry | undefined;

beforeAll(async () => {
  [gateway, browser] = await Promise.all([startGateway(), launchBrowser()]);
  process.env["STAGEDOOR_ENDPOINT"] = gateway.url;
});
afterEach(() => registry?.shutdown());
afterAll(async () => {
  delete process.env["STAGEDOOR_ENDPOINT"];
  await Promise.all([gateway.stop(), browser.close()]);
});

async function registryOf(file: string): Promise<Registry> {
  const module = await bundle(await temporary(), { source: `export { registry } from ${JSON.stringify(blockUrl(file).pathname)};` }, file);
  return ((await import(pathToFileURL(module).href)) as { registry: Registry }).registry;
}

/** Opens a page that shows the component of a block, which exports none: so it is rendered by what is put behind the block. */
async function show(file: string, component: string) {
  const tail = `import { createRoot } from "react-dom/client"; createRoot(document.getElementById("root")).render(<${component} />);`;
  const block = await readFile(blockUrl(file), "utf8");
  const server = await servePage({ script: await bundlePage(`${block}\n${tail}`, 19), api: toNodeHandler(registry!) });
  onTestFinished(() => server.stop());
  const { page, complaints } = await openPage(browser, server.url);
  onTestFinished(() => page.close());
  onTestFinished(() => expect(complaints).toEqual([]));
  return page;
}

const client = () => {
  const made = createClient(gateway.url);
  onTestFinished(() => made.dispose());
  return made;
};

test("useActor and calling actions", async () => {
  registry = await registryOf("counter-registry.ts");
  const page = await show("counter.tsx", "Counter");
  const counter = client().getOrCreate("counter", ["my-counter"]);
  const count = async () => {
    await page.click("button"); // before it is connected, the block does nothing
    return counter.action<number>({ name: "increment", args: [0] });
  };
  await expect.poll(count).toBeGreaterThan(1);
});

test("subscribing to events", async () => {
  registry = await registryOf("chat-registry.ts");
  const page = await show("chat.tsx", "ChatRoom");
  const room = client().getOrCreate("chatRoom", ["general"]);
  const shown = async () => {
    await room.action({ name: "send", args: ["hello"] }); // before it is connected, the block hears nothing
    const lines = await page.locator("p").allTextContents();
    return lines.filter((line) => line === "hello").length;
  };
  await expect.poll(shown).toBeGreaterThan(1);
});
