import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import typescript from "typescript";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startGateway } from "../../clients/js/test/gateway.ts";
import type { Gateway } from "../../clients/js/test/gateway.ts";
import { command, createProject, modules, tool } from "./pack-project.ts";
import type { Packed, Project } from "./pack-project.ts";
import { freeAddress, run, untilGone } from "./program.ts";

vi.setConfig({ testTimeout: 180_000 }); // compilers and linters, on a machine that is busy

let project: Project;
let gateway: Gateway;

beforeAll(async () => {
  [project, gateway] = await Promise.all([createProject(), startGateway()]);
}, 240_000);
afterAll(async () => {
  await gateway?.stop();
  await project?.remove();
});

const names = ["@stagedoor/client", "stagedoor", "@stagedoor/react"];
const packed = (name: string): Packed => project.packages.find((one) => one.name === name) as Packed;

interface Manifest {
  readonly dependencies: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
}

describe.each(names)("the tarball of %s", (name) => {
  const largest: Record<string, number> = { "@stagedoor/client": 260_000, stagedoor: 450_000, "@stagedoor/react": 20_000 };

  test("has what belongs there, and no more", async () => {
    const { files, size } = packed(name);
    expect(size).toBeLessThan(largest[name] as number);
    const paths = files.map(({ path }) => path);
    const other = paths.filter((path) => !/^dist\/.*\.(js|js\.map|d\.ts)$/.test(path));
    expect(other.sort()).toEqual(["LICENSE", "README.md", "package.json"]);
    // The client's own frames are written by hand; protobuf's are for its tests.
    expect(paths.filter((path) => path.includes("_pb.")).length > 0).toBe(name === "stagedoor");
    expect(await project.read(`node_modules/${name}/LICENSE`)).toBe(await readFile(new URL("../../LICENSE", import.meta.url), "utf8"));
  });

  test("names no path of the machine that built it", async () => {
    const here = new URL("../..", import.meta.url).pathname;
    for (const { path } of packed(name).files) {
      const text = await project.read(`node_modules/${name}/${path}`);
      expect([path, text.includes(here) || text.includes("file://")]).toEqual([path, false]);
    }
  });

  test("depends on what it imports, and on nothing else", async () => {
    const manifest = JSON.parse(await project.read(`node_modules/${name}/package.json`)) as Manifest;
    const imported = new Set<string>();
    for (const { path } of packed(name).files.filter((file) => /\.(js|d\.ts)$/.test(file.path))) {
      const { importedFiles } = typescript.preProcessFile(await project.read(`node_modules/${name}/${path}`));
      for (const { fileName } of importedFiles) {
        if (!/^[.#]|^node:/.test(fileName)) imported.add(/^(@[^/]+\/)?[^/]+/.exec(fileName)?.[0] ?? "");
      }
    }
    const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
    expect([...imported].sort()).toEqual(declared.sort());
  });

  test("is well formed for publint and attw", async () => {
    const { file } = packed(name);
    const tarball = await readFile(file);
    const { messages, pkg } = await publint({ pack: { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
    await command(tool("attw"), [file, "--profile", "esm-only"]);
  });
});

/** Code blocks of a README, by their language. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp("```" + language + "\\n([^]*?)```", "g"))].map(([, code = ""]) => code);
}

const options = { strict: true, noEmit: true, target: "es2022", lib: ["es2023", "dom", "dom.iterable"], types: ["node"], skipLibCheck: true, jsx: "react-jsx" };

async function compile(name: string, compilerOptions: object, files: readonly string[]): Promise<void> {
  const config = await project.write(`${name}/tsconfig.json`, JSON.stringify({ compilerOptions: { ...options, ...compilerOptions }, files }));
  await command(tool("tsc"), ["-p", config], project.folder);
}

describe("the types", () => {
  const uses = `
    import { actor, setup, type Registry } from "stagedoor";
    import { createClient, ActorError } from "stagedoor/client";
    import { createClient as again } from "@stagedoor/client";
    import { encode } from "@stagedoor/client/values";
    import { createRivetKit } from "@stagedoor/react";
    import { setupTest } from "stagedoor/test";

    const counter = actor({ state: { count: 0 }, actions: { increment: (c, amount: number) => (c.state.count += amount) } });
    export const registry = setup({ use: { counter } });
    const handle = createClient<typeof registry>().counter.getOrCreate(["a"]);
    export const sum: Promise<number> = handle.increment(1);
    export const { useActor } = createRivetKit<typeof registry>();
    export const connection = useActor({ name: "counter", key: ["a"] }).connection;
    // @ts-expect-error: of another type
    void handle.increment("1");
    // @ts-expect-error: not there
    void handle.decrement(1);
    export const used: unknown[] = [ActorError, again, encode, setupTest, {} as Registry];
  `;

  test.each([
    ["nodenext", "nodenext", ["uses.ts", "uses.cts"]],
    ["bundler", "esnext", ["uses.ts"]],
  ])("are found and checked with moduleResolution %s", async (moduleResolution, module, files) => {
    for (const file of files) await project.write(`${moduleResolution}/${file}`, uses);
    await compile(moduleResolution, { module, moduleResolution, skipLibCheck: false }, files);
  });
});

describe("Node", () => {
  test("runs what the README of stagedoor begins with", async () => {
    const [registry, client] = blocks(await project.read("node_modules/stagedoor/README.md"), "ts") as [string, string];
    await project.write("quick/registry.ts", registry);
    await project.write("quick/client.ts", `${client}\nconsole.log("counted", await client.counter.getOrCreate(["my-counter"]).increment(1));\n`);
    await compile("quick", { module: "nodenext", noEmit: false }, ["registry.ts", "client.ts"]);

    const address = await freeAddress();
    const cwd = project.folder;
    const runner = run("quick/registry.js", { cwd, env: { STAGEDOOR_LISTEN: address } });
    await runner.line(/hosting counter/);
    const caller = run("quick/client.js", { cwd, env: { STAGEDOOR_ENDPOINT: `http://${address}` } });
    expect(await caller.line(/^counted/)).toBe("counted 2");
    expect(await caller.exited).toBe(0);
    runner.process.kill("SIGTERM");
    expect(await runner.exited).toBe(0);
    await untilGone(address);
  });

  const program = `
    const counter = actor({ state: { count: 0 }, actions: { increment: (c, amount) => (c.state.count += amount) } });
    const registry = setup({ use: { counter }, endpoint: process.env.GATEWAY });
    const client = createClient(process.env.GATEWAY);
    async function main() {
      await registry.startAndWait();
      console.log("counted", await client.counter.getOrCreate([__KEY__]).connect().increment(3));
      await client.counter.getOrCreate([__KEY__]).increment("x", () => {}).catch((error) => console.log(error instanceof ActorError, error.code));
      await client.dispose();
      await registry.shutdown();
    }
    main();
  `;

  test.each([
    ["import", "esm.mjs", `import { actor, setup } from "stagedoor"; import { ActorError, createClient } from "@stagedoor/client";`],
    ["require", "cjs.cjs", `const { actor, setup } = require("stagedoor"); const { ActorError, createClient } = require("@stagedoor/client");`],
  ])("loads the packages by %s", async (how, file, head) => {
    await project.write(file, head + program.replaceAll("__KEY__", JSON.stringify(how)));
    const ran = run(file, { cwd: project.folder, env: { GATEWAY: gateway.url } });
    expect(await ran.line(/^counted/)).toBe("counted 3");
    expect(await ran.exited).toBe(0);
    expect(ran.output).toContain("true invalid_payload");
    expect(ran.output.filter((line) => line.includes("Warning"))).toEqual([]);
  });

  test("has one ActorError, whatever the package is loaded by", async () => {
    const file = "same.mjs";
    await project.write(
      file,
      `import { createRequire } from "node:module";
       import * as own from "@stagedoor/client";
       import * as again from "stagedoor/client";
       const required = createRequire(import.meta.url)("stagedoor/client");
       console.log(own.ActorError === again.ActorError && own.ActorError === required.ActorError);`,
    );
    expect((await command(process.execPath, [file], project.folder)).trim()).toBe("true");
  });
});

/** Other runtimes: how they serve a default export, and run a program. */
const runtimes = [
  { name: "Bun", binary: modules("bun/bin/bun.exe"), serve: () => [], run: [] },
  {
    name: "Deno",
    binary: modules("@deno/linux-x64-glibc/deno"),
    serve: (port: string) => ["serve", "--quiet", "--allow-all", "--host=127.0.0.1", `--port=${port}`],
    run: ["run", "--quiet", "--allow-all"],
  },
];

// npm has installed them if they exist for this platform.
describe.each(runtimes.filter(({ binary }) => existsSync(binary)))("$name", ({ name, binary, ...args }) => {
  const source = `
    import { actor, setup } from "stagedoor";
    const counter = actor({ state: { count: 0 }, actions: { increment: (c, amount: number) => (c.state.count += amount) } });
    const registry = setup({ use: { counter } });
    export default registry.serve();
  `;

  test("runs a server and a client as they stand", async () => {
    const port = (await freeAddress()).split(":")[1] as string;
    const base = `http://127.0.0.1:${port}/api/rivet`;
    const client = `
      import { createClient } from "@stagedoor/client";
      const client = createClient("${base}");
      const counter = client.getOrCreate("counter", ["${name}"]);
      const connection = counter.connect();
      console.log("counted", await connection.action({ name: "increment", args: [2] }), await counter.action({ name: "increment", args: [2] }));
      await client.dispose();
    `;
    const cwd = project.folder;
    const env = { STAGEDOOR_ENDPOINT: gateway.url, PORT: port, DENO_NO_UPDATE_CHECK: "1" };
    const served = run(await project.write("server.ts", source), { cwd, command: binary, args: args.serve(port), env });
    await served.line(/hosting counter/);
    const answer = await fetch(`${base}/metadata`);
    expect([answer.status, await answer.json()]).toMatchObject([200, { actorNames: { counter: {} }, clientEndpoint: gateway.url }]);
    const called = run(await project.write("client.ts", client), { cwd, command: binary, args: args.run, env });
    expect(await called.line(/^counted/)).toBe("counted 2 4");
    expect(await called.exited).toBe(0);
    served.process.kill("SIGTERM");
    expect(await served.exited).toBe(0);
  });
});

test("a bundle for browsers has nothing of Node in it", async () => {
  const entry = await project.write("page.js", `export { createRivetKit } from "@stagedoor/react"; export { createClient } from "stagedoor/client";`);
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, minify: true, write: false, format: "esm", platform: "browser", external: ["react"], target: "es2022" });
  const text = outputFiles[0]?.text ?? "";
  expect(text).not.toMatch(/node:|require\(/);
  expect(gzipSync(text).length).toBeLessThan(38_000);
});
