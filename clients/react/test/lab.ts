// What a test does with the page of pages/lab.tsx.
import type { Browser, Page } from "playwright-core";
import { bundlePage, openPage, servePage, type PageServer, type ReactVersion } from "./browser.ts";
import type { LabActor, LabSpec, LabState } from "./pages/app.tsx";

declare global {
  // What the page's script puts there.
  var lab: LabState;
  var start: (first: LabSpec) => void;
}

export async function serveLab(react: ReactVersion, html = ""): Promise<PageServer> {
  return servePage({ script: await bundlePage('import "./pages/lab.tsx";', react), html });
}

export class Lab {
  readonly page: Page;
  /** Errors of scripts, and what React complains about. */
  readonly complaints: string[];

  private constructor(page: Page, complaints: string[]) {
    this.page = page;
    this.complaints = complaints;
  }

  static async open(browser: Browser, server: PageServer, endpoint: string): Promise<Lab> {
    const { page, complaints } = await openPage(browser, `${server.url}#${endpoint}`);
    await page.waitForFunction(() => "start" in window);
    return new Lab(page, complaints);
  }

  start(...actors: LabActor[]): Promise<void> {
    return this.page.evaluate((spec) => start(spec), { strict: true, actors });
  }

  render(...actors: LabActor[]): Promise<void> {
    return this.page.evaluate((spec) => lab.render(spec), { actors });
  }

  /** Waits until a component shows a status. */
  async shows(id: string, status: string): Promise<void> {
    await this.page.waitForSelector(`#${id}[data-status="${status}"]`);
  }

  /** Waits until a component shows an error, and returns its name. */
  async error(id: string): Promise<string | null> {
    const shown = await this.page.waitForSelector(`#${id}:not([data-error=""])`);
    return shown.getAttribute("data-error");
  }

  /** Calls an action over the connection of a component. */
  call(id: string, name: string, ...args: unknown[]): Promise<unknown> {
    return this.page.evaluate(([id, name, args]) => lab.actors[id]!.connection!.action({ name, args }), [id, name, args] as const);
  }

  /** What handlers were called with: `id mark args…`. */
  events(): Promise<string[]> {
    return this.page.evaluate(() => lab.events.map(({ id, mark, args }) => [id, mark, ...args].join(" ")));
  }

  /** Evaluates to whether two components have the same connection. */
  sharing(a: string, b: string): Promise<boolean> {
    return this.page.evaluate(([a, b]) => lab.actors[a]!.connection === lab.actors[b]!.connection, [a, b] as const);
  }
}
