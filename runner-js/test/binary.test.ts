import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { bin, startGateway } from "../../clients/js/test/gateway.ts";
import { findBinary } from "../src/registry/binary.ts";
import { bundle, freeAddress, run, temporary, untilGone } from "./program.ts";

const runner = {
  source: `
    import { actor, setup } from "stagedoor";
    const counter = actor({ state: { count: 0 }, actions: { increment: (c, n: number) => (c.state.count += n) } });
    const registry = setup({ use: { counter } });
    registry.startAndWait().then(() => console.log("ready"), (error) => { console.log("refused", error.message); process.exitCode = 3; });
  `,
};

async function increment(address: string, n: number): Promise<unknown> {
  const answer = await fetch(`http://${address}/v1/actors/counter:a/actions/increment`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ args: [n] }),
  });
  return answer.json();
}

describe("the development gateway", () => {
  test("is started, shared, kept while anybody uses it, and stopped by the last one", async () => {
    const cwd = await temporary();
    const file = await bundle(cwd, runner);
    const address = await freeAddress();
    const env = { STAGEDOOR_LISTEN: address };

    const first = run(file, { cwd, env });
    await first.line(/^ready/);
    expect(first.output.filter((line) => line.includes("the development gateway"))).toEqual([
      expect.stringContaining(`starting the development gateway ${bin("stagedoor")} at http://${address}, data in ${join(cwd, ".stagedoor")}`),
    ]);
    const second = run(file, { cwd, env });
    await second.line(/^ready/);
    expect(second.output.filter((line) => line.includes("the development gateway"))).toEqual([
      expect.stringContaining(`using the development gateway at http://${address}`),
    ]);
    expect(await increment(address, 2)).toEqual({ output: 2 });

    first.process.kill("SIGTERM");
    expect(await first.exited).toBe(0);
    expect(await increment(address, 3)).toEqual({ output: 5 });

    second.process.kill("SIGINT");
    expect(await second.exited).toBe(0);
    await untilGone(address);

    const third = run(file, { cwd, env });
    await third.line(/^ready/);
    expect(await increment(address, 1)).toEqual({ output: 6 });
    third.process.kill("SIGTERM");
    await third.exited;
    await untilGone(address);
  });

  test("is started once by processes that begin together, and outlives one that is killed", async () => {
    const cwd = await temporary();
    const file = await bundle(cwd, runner);
    const address = await freeAddress();
    const all = [1, 2, 3].map(() => run(file, { cwd, env: { STAGEDOOR_LISTEN: address } }));
    await Promise.all(all.map((program) => program.line(/^ready/)));
    const [first, second, third] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]];
    first.process.kill("SIGKILL");
    await first.exited;
    second.process.kill("SIGKILL");
    await second.exited;
    expect((await fetch(`http://${address}/healthz`)).status).toBe(200);
    third.process.kill("SIGTERM");
    await third.exited;
    await untilGone(address);
  });

  test("is left when the registry is shut down, and started again with it", async () => {
    const cwd = await temporary();
    const address = await freeAddress();
    const source = `${runner.source}
      process.on("SIGUSR2", () => void registry.shutdown().then(() => console.log("down")));
      process.on("SIGHUP", () => void registry.startAndWait().then(() => console.log("again")));
      setInterval(() => {}, 1_000_000);`;
    const program = run(await bundle(cwd, { source }), { cwd, env: { STAGEDOOR_LISTEN: address } });
    await program.line(/^ready/);
    program.process.kill("SIGUSR2");
    await program.line(/^down/);
    await untilGone(address);
    program.process.kill("SIGHUP");
    await program.line(/^again/);
    program.process.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    await untilGone(address);
  });

  test("is left alone where somebody else started it", async () => {
    const gateway = await startGateway();
    onTestFinished(() => gateway.stop());
    const cwd = await temporary();
    const program = run(await bundle(cwd, runner), { cwd, env: { STAGEDOOR_LISTEN: `127.0.0.1:${gateway.port}` } });
    await program.line(/^ready/);
    program.process.kill("SIGTERM");
    await program.exited;
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
  });

  test("is not looked for where an endpoint is configured", async () => {
    const gateway = await startGateway();
    onTestFinished(() => gateway.stop());
    const cwd = await temporary();
    const program = run(await bundle(cwd, runner), { cwd, env: { STAGEDOOR_ENDPOINT: gateway.url, STAGEDOOR_BIN: "/nowhere/stagedoor" } });
    await program.line(/^ready/);
    expect(program.output.some((line) => line.includes("development gateway"))).toBe(false);
  });

  test("is not started in production", async () => {
    const cwd = await temporary();
    const address = await freeAddress();
    const program = run(await bundle(cwd, runner), { cwd, env: { STAGEDOOR_LISTEN: address, NODE_ENV: "production" } });
    expect(await program.line(/^refused/)).toContain("no endpoint is configured: set STAGEDOOR_ENDPOINT");
    expect(await program.exited).toBe(3);
  });

  test("says what to do where there is no binary", async () => {
    const cwd = await temporary();
    const file = await bundle(cwd, runner);
    const address = await freeAddress();
    const named = run(file, { cwd, env: { STAGEDOOR_LISTEN: address, STAGEDOOR_BIN: "/nowhere/stagedoor" } });
    expect(await named.line(/^refused/)).toContain('STAGEDOOR_BIN is "/nowhere/stagedoor", which cannot be run');
    const none = run(file, { cwd, env: { STAGEDOOR_LISTEN: address, STAGEDOOR_BIN: "", PATH: "" } });
    expect(await none.line(/^refused/)).toContain("there is no stagedoor binary to start in STAGEDOOR_BIN, PATH or bin/; set STAGEDOOR_ENDPOINT");
  });

  test("shows what the gateway says when it cannot start", async () => {
    const cwd = await temporary();
    const env = { STAGEDOOR_LISTEN: await freeAddress(), STAGEDOOR_STORE: "nonsense" };
    const program = run(await bundle(cwd, runner), { cwd, env });
    expect(await program.line(/^refused/)).toContain("the development gateway did not start: it ended with status");
    expect(program.output.join("\n")).toContain("STAGEDOOR_STORE: write embedded");
  });

  test("is not taken for what else listens there", async () => {
    const server = createServer((_, response) => response.end("hello")).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const address = `127.0.0.1:${(server.address() as { port: number }).port}`;
    const cwd = await temporary();
    const program = run(await bundle(cwd, runner), { cwd, env: { STAGEDOOR_LISTEN: address } });
    expect(await program.line(/^refused/)).toContain(`something else than a stagedoor gateway listens at http://${address}`);
  });
});

describe("the binary", () => {
  test("is that of STAGEDOOR_BIN, else in PATH, else in a bin/ above", async () => {
    const folder = await temporary();
    const program = async (...path: string[]): Promise<string> => {
      const file = join(folder, ...path, "stagedoor");
      await mkdir(join(folder, ...path), { recursive: true });
      await writeFile(file, "");
      await chmod(file, 0o755);
      return file;
    };
    const [named, inPath, above] = [await program("named"), await program("path"), await program("work", "bin")];
    const deep = join(folder, "work", "a", "b");
    expect(findBinary({ STAGEDOOR_BIN: named, PATH: join(folder, "path") }, deep)).toBe(named);
    expect(findBinary({ PATH: ["", "/nowhere", join(folder, "path")].join(":") }, deep)).toBe(inPath);
    expect(findBinary({ PATH: "" }, deep)).toBe(above);
    if (process.getuid?.() === 0) {
      await chown(above, 65_534, 65_534); // in a folder such as /tmp it may be anybody's
      expect(findBinary({ PATH: "" }, deep)).toBe(bin("stagedoor"));
    }
    await chmod(above, 0o644);
    expect(findBinary({ PATH: "" }, deep)).toBe(bin("stagedoor")); // beside this package
  });
});
