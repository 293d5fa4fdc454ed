import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startGateway, type Gateway } from "../../../clients/js/test/gateway.ts";
import { build, startServer, type Server } from "./server.ts";

const artefacts = fileURLToPath(new URL("../dist/artefacts/", import.meta.url));

let gateway: Gateway;
let browser: Browser;
let server: Server;
let rooms = 0;
let room: string;

beforeAll(async () => {
  await build();
  gateway = await startGateway();
  browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
}, 180_000);
afterAll(async () => {
  await browser?.close();
  await gateway?.stop();
});

beforeEach(async () => {
  room = `room ${++rooms}`;
  server = await startServer(gateway.url);
});
afterEach(() => server.stop());

declare global {
  // Each status that the page has shown, in order.
  var statuses: string[];
}

/** A page of its own browser context, in the test's room; it notes each connection status that it shows. */
async function enter(name: string): Promise<Page> {
  const page = await (await browser.newContext({ viewport: { width: 720, height: 560 } })).newPage();
  await page.addInitScript(() => {
    globalThis.statuses = [];
    new MutationObserver(() => {
      const status = document.querySelector<HTMLElement>("[data-status]")?.dataset["status"];
      if (status !== undefined && status !== statuses.at(-1)) statuses.push(status);
    }).observe(document, { subtree: true, childList: true, attributes: true });
  });
  await page.goto(server.url);
  await page.fill("[name=name]", name);
  await page.fill("[name=room]", room);
  await page.click("text=Enter");
  await page.waitForSelector('[data-status="connected"]');
  return page;
}

async function say(page: Page, text: string): Promise<void> {
  await page.fill("[aria-label=Message]", text);
  await page.press("[aria-label=Message]", "Enter");
}

/** What the page shows as said in the room, in order: `sender: text`. */
const saidOn = (page: Page): Promise<string[]> =>
  page.$$eval(".line:not(.pending)", (lines) =>
    lines.map((line) => `${line.querySelector(".sender")!.textContent}: ${line.querySelector(".text")!.textContent}`),
  );

const expectSaid = (page: Page) => expect.poll(() => saidOn(page), { timeout: 40_000 });
/** The statuses that the page has shown since it was connected first. */
const statusesOf = (page: Page): Promise<string[]> => page.evaluate(() => statuses.slice(statuses.indexOf("connected")));

test("two pages talk; who comes later sees what was said", async () => {
  const ann = await enter("Ann");
  const bob = await enter("Bob");
  await say(ann, "Hello Bob!");
  await expectSaid(bob).toEqual(["Ann: Hello Bob!"]);
  await say(bob, "Hello Ann.");
  const all = ["Ann: Hello Bob!", "Bob: Hello Ann."];
  await expectSaid(ann).toEqual(all);
  await expectSaid(bob).toEqual(all);
  await expectSaid(await enter("Cy")).toEqual(all);
});

test("pages go by WebTransport, and find the certificate of a gateway in development by themselves", async () => {
  const [ann, bob] = [await enter("Ann"), await enter("Bob")];
  for (const page of [ann, bob]) await page.waitForSelector('[data-transport="webtransport"]');
  await say(ann, "How did this get here?");
  await expectSaid(bob).toEqual(["Ann: How did this get here?"]);
  await say(bob, "By UDP.");
  await expectSaid(ann).toHaveLength(2);
  for (const page of [ann, bob]) expect(await statusesOf(page)).toEqual(["connected"]);
});

test("the server, and the runner with it, is killed and started again: no message is lost, and no page reconnects", async () => {
  const ann = await enter("Ann");
  const bob = await enter("Bob");
  await say(ann, "Shall we deploy?");
  await expectSaid(bob).toEqual(["Ann: Shall we deploy?"]);

  const steps = Array.from({ length: 8 }, (_, n) => `Step ${n + 1} is done.`);
  const telling = (async () => {
    for (const step of steps) await say(bob, step);
  })();
  await expectSaid(ann).toContain("Bob: Step 2 is done.");
  await server.kill(); // while some of the others are under way
  await telling;
  await say(ann, "Still there?");
  await ann.waitForSelector(".pending >> text=Still there?");
  server = await startServer(gateway.url, server.port);

  const all = ["Ann: Shall we deploy?", "Ann: Still there?", ...steps.map((step) => `Bob: ${step}`)];
  for (const page of [ann, bob]) await expect.poll(async () => (await saidOn(page)).toSorted(), { timeout: 40_000 }).toEqual(all);
  await say(bob, "Nobody noticed.");
  await expectSaid(ann).toHaveLength(all.length + 1);
  await expectSaid(bob).toEqual(await saidOn(ann));

  for (const page of [ann, bob]) expect(await statusesOf(page)).toEqual(["connected"]);
  await mkdir(artefacts, { recursive: true });
  await ann.screenshot({ path: `${artefacts}chat.png` });
});
