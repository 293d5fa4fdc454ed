import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { bundle, freeAddress, run, temporary, untilGone } from "./program.ts";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// reference/ has the code blocks of the Rivet Actors reference document as they stand there, one to a file, without those of
// schedules and raw networking; where the document contradicts itself, a comment says what was left out.

test("the blocks of the reference, and what may not, compile", async () => {
  const tsc = at("../../node_modules/typescript/bin/tsc");
  const result = await promisify(execFile)(process.execPath, [tsc, "-p", at("reference")], { maxBuffer: 1 << 22 }).catch(
    (error: { stdout: string }) => error,
  );
  expect(result.stdout).toBe("");
});

/** Runs a block by itself: it finds no gateway, and starts one. */
async function start(entry: string, tail = "", command: string = process.execPath) {
  const cwd = await temporary();
  const address = await freeAddress();
  const [, port] = (await freeAddress()).split(":");
  const file = await bundle(cwd, tail === "" ? { entry: `reference/${entry}` } : { source: tail });
  const program = run(file, { cwd, env: { STAGEDOOR_LISTEN: address, PORT: port as string }, command });
  return {
    program,
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      program.process.kill("SIGTERM");
      await program.exited;
      await untilGone(address);
    },
  };
}

test("the server without framework runs as it stands", async () => {
  const { program, url, stop } = await start("server-plain.ts");
  await program.line(/listening at/);
  await expectServes(url);
  await stop();
});

const bun = [at("../../node_modules/.bin"), ...(process.env["PATH"] ?? "").split(delimiter)].map((folder) => join(folder, "bun")).find(existsSync);

test.skipIf(bun === undefined)("the server without framework runs in Bun as it stands", async () => {
  const { program, url, stop } = await start("server-plain.ts", "", bun);
  await program.line(/server: http/);
  await expectServes(url);
  await stop();
});

const serveDefault = `
  import app from "./reference/FILE";
  import { serve } from "@hono/node-server";
  serve({ fetch: app.fetch, port: Number(process.env.PORT) }, () => console.log("listening at"));
`;

test.each(["server-hono.ts", "server-elysia.ts"])("%s runs", async (entry) => {
  const { program, url, stop } = await start(entry, serveDefault.replace("FILE", entry));
  await program.line(/listening at/);
  await expectServes(url);
  await stop();
});

async function expectServes(url: string): Promise<void> {
  expect((await fetch(`${url}/api/rivet/metadata`)).status).toBe(200);
  const answer = await fetch(`${url}/api/rivet/v1/actors/counter:a/actions/increment`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ args: [5] }),
  });
  expect([answer.status, await answer.json()]).toEqual([200, { output: 5 }]);
}

test("calls from a backend run, with nothing else started", async () => {
  const { program, url, stop } = await start("client-backend.ts", serveDefault.replace("FILE", "client-backend.ts"));
  await program.line(/listening at/);
  for (const count of [1, 2]) {
    const answer = await fetch(`${url}/increment/jane`, { method: "POST" });
    expect([answer.status, await answer.json()]).toEqual([200, { count }]);
  }
  await stop();
});

const tells = (entry: string): string => `import "./reference/${entry}"; console.log("through");`;

test.each(["minimal-client.ts", "client-stateless-stateful.ts", "client-getting-actors.ts"])("%s runs", async (entry) => {
  const cwd = await temporary();
  const address = await freeAddress();
  const program = run(await bundle(cwd, { source: tells(entry) }), { cwd, env: { STAGEDOOR_LISTEN: address } });
  await program.line(/^through/);
  await program.line(/hosting/);
  if (entry.includes("stateful")) expect(await program.line(/^\d+$/)).toBe("2");
  program.process.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  await untilGone(address);
});

test.each(["minimal-actors.ts", "actor-to-actor.ts", "lifecycle.ts", "connections.ts", "client-events.ts"])("%s loads", async (entry) => {
  const cwd = await temporary();
  const address = await freeAddress();
  const program = run(await bundle(cwd, { source: tells(entry) }), { cwd, env: { STAGEDOOR_LISTEN: address } });
  await program.line(/^through/);
});
