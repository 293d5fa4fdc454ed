// Chromium, and the pages that the tests open in it: bundled from their sources, served on the loopback.
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium, type Browser, type Page } from "playwright-core";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The major versions of React that pages can be built with. */
export type ReactVersion = 18 | 19;

export function launchBrowser(...args: string[]): Promise<Browser> {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox", ...args] });
}

const packages = {
  "@stagedoor/client": at("../../js/src/index.ts"),
  "@stagedoor/client/values": at("../../js/src/values/index.ts"),
  "@stagedoor/react": at("../src/index.ts"),
  /** What the reference document calls it. */
  "@rivetkit/react": at("../src/index.ts"),
};

/** The script of a page, with our packages from their sources. source: a module that may import by paths relative to this folder. */
export async function bundlePage(source: string, react: ReactVersion): Promise<string> {
  const result = await build({
    stdin: { contents: source, resolveDir: at("."), loader: "tsx" },
    absWorkingDir: at(".."),
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    jsx: "automatic",
    ignoreAnnotations: true, // the pages stand in a package that says it has no side effects
    define: { "process.env.NODE_ENV": '"development"' },
    alias: { ...packages, ...(react === 18 && { react: at("../../react-18/node_modules/react"), "react-dom": at("../../react-18/node_modules/react-dom") }) },
  });
  return result.outputFiles[0]!.text;
}

/** A server of one page. */
export interface PageServer {
  /** The page's address; what is behind # is for its script. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface PageParts {
  readonly script: string;
  /** What #root holds before the script runs. */
  readonly html?: string;
  /** Answers what is below /api/. */
  readonly api?: RequestListener;
}

export async function servePage({ script, html = "", api }: PageParts): Promise<PageServer> {
  const page = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<div id="root">${html}</div><script type="module" src="/page.js"></script>`;
  const server = createServer((request, response) => {
    if (api && request.url?.startsWith("/api/")) return api(request, response);
    const isScript = request.url === "/page.js";
    response.setHeader("content-type", isScript ? "text/javascript; charset=utf-8" : "text/html; charset=utf-8");
    response.end(isScript ? script : page);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A page whose script errors, and what React complains about, are kept. */
export interface WatchedPage {
  readonly page: Page;
  readonly complaints: string[];
}

export async function openPage(browser: Browser, url: string): Promise<WatchedPage> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  await page.goto(url);
  return { page, complaints };
}
