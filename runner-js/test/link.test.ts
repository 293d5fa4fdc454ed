import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import type { AddressInfo } from "node:net";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { FrameSchema } from "../src/gen/stagedoor/runner/v1alpha1/runner_pb.ts";
import { ActorError } from "../src/error.ts";
import { HEADER } from "../src/wire/frame.ts";
import { EchoHost, until } from "./link-echo.ts";
import { atEnd, call, freePort, gateway, launch, link, proxy } from "./link-world.ts";

async function usesAll(g: { url: string }): Promise<void> {
  expect(await call(g, "a", "echo", [1, "two"])).toEqual([1, "two"]);
  expect(await call(g, "a", "save")).toBe(1);
  expect(await call(g, "a", "save")).toBe(2);
  const big = (await call(g, "a", "big")) as [string, string];
  expect(Buffer.from(big[1], "base64").length).toBe(1_000_000);
  const long = "x".repeat(300_000);
  expect(await call(g, "b", "echo", [long])).toEqual([long]);
}

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "stagedoor-link-"));
  atEnd(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test("calls, commits and long frames go through over WebSocket [FRAME-1] [LINK-3]", async () => {
  const g = await gateway();
  await link(g.url, new EchoHost());
  await usesAll(g);
});

test("and over TCP", async () => {
  const port = await freePort();
  const g = await gateway({ args: ["--runner-listen", `tcp://127.0.0.1:${port}`] });
  await link(`tcp://127.0.0.1:${port}`, new EchoHost());
  await usesAll(g);
});

test("and over a unix socket", async () => {
  const path = join(folder(), "s");
  const g = await gateway({ args: ["--runner-listen", `unix://${path}`] });
  await link(`unix://${path}`, new EchoHost());
  await usesAll(g);
});

const openssl = spawnSync("openssl", ["version"]).status === 0;

test.runIf(openssl).each(["wss", "https", "tls"])("and over %s", async (scheme) => {
  const dir = folder();
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  const made = spawnSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert]);
  expect(made.status).toBe(0);
  const streamPort = await freePort();
  const g = await gateway({ args: ["--runner-listen", `tcp://127.0.0.1:${streamPort}`] });
  const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (down) => {
    const up = connect(scheme === "tls" ? streamPort : g.port, "127.0.0.1");
    down.pipe(up).pipe(down);
    for (const s of [down, up]) s.on("error", () => {}).on("close", () => [down, up].forEach((x) => x.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  atEnd(() => void server.close());
  const at = `${scheme}://localhost:${(server.address() as AddressInfo).port}`;
  const { done } = await link(at, new EchoHost(), { tls: { ca: readFileSync(cert) } });
  await Promise.race([usesAll(g), done]);
});

test("a signal drains: the actors are put to sleep, then the link ends [LINK-10]", async () => {
  const g = await gateway();
  const host = new EchoHost();
  const { stop, done } = await link(g.url, host);
  await call(g, "a", "save");
  stop.abort();
  await done;
  expect(host.events).toEqual(["start", "stop drain"]);
});

test("an actor that does not stop is dropped when the time to drain is over", async () => {
  const g = await gateway();
  const host = new EchoHost();
  host.stubborn = true;
  const { stop, done } = await link(g.url, host, { drainTimeoutMs: 50 });
  await call(g, "a", "echo");
  stop.abort();
  await done;
  expect(host.events).toEqual(["start", "stop drain", "drop"]);
});

test("a wrong token is final [LINK-5]", async () => {
  const g = await gateway({ args: ["--runner-token", "right", "--client-token", "c"] });
  const { done } = await link(g.url, new EchoHost(), { token: "wrong" });
  const err = await done.catch((e: unknown) => e);
  expect(err).toBeInstanceOf(ActorError);
  expect(err).toMatchObject({ group: "auth", code: "unauthenticated", retryable: false });
  expect((err as ActorError).message).not.toContain("wrong");
  await link(g.url, new EchoHost(), { token: "right" });
});

test("a gateway without a common version is final, and both ranges are named [LINK-4]", async () => {
  const port = await freePort();
  await gateway({ args: ["--runner-listen", `tcp://127.0.0.1:${port}`] });
  const p = await proxy(port, (first) => {
    const frame = fromBinary(FrameSchema, first.subarray(HEADER));
    if (frame.kind.case !== "hello") throw new Error("no Hello");
    frame.kind.value.protocolMin = frame.kind.value.protocolMax = 7;
    const body = toBinary(FrameSchema, frame);
    const head = Buffer.alloc(HEADER);
    head.writeUInt32BE(body.length);
    return Buffer.concat([head, body]);
  });
  const { done } = await link(`tcp://127.0.0.1:${p.port}`, new EchoHost());
  await expect(done).rejects.toMatchObject({ group: "runner", code: "protocol_unsupported", message: /1 to 1, the runner 7 to 7/ });
});

test("another runner of the same instance replaces this one for good [LINK-6]", async () => {
  const g = await gateway();
  const host = new EchoHost();
  const first = await link(g.url, host, { instance: "one" });
  await call(g, "a", "save");
  const { done } = first;
  await link(g.url, new EchoHost(), { instance: "one" });
  await expect(done).rejects.toMatchObject({ group: "runner", code: "replaced" });
  expect(host.events.at(-1)).toBe("drop");
  expect(await call(g, "a", "save")).toBe(2);
});

test("a gateway that is not there yet is awaited [LINK-11]", async () => {
  const port = await freePort();
  const { ready, log } = launch(`ws://127.0.0.1:${port}`, new EchoHost());
  await until("an attempt that fails", () => log.lines.some((l) => l.includes("no link to the gateway")));
  const g = await gateway({ port });
  await ready;
  await usesAll(g);
});

test("a signal ends the wait for a gateway", async () => {
  const { stop, done, log } = launch(`ws://127.0.0.1:${await freePort()}`, new EchoHost());
  await until("an attempt that fails", () => log.lines.some((l) => l.includes("no link to the gateway")));
  stop.abort();
  await done;
});

test.each(["nonsense", "ftp://host:1", "tcp://host", "unix://"])("endpoint %s is refused", async (endpoint) => {
  await expect(launch(endpoint, new EchoHost()).done).rejects.toBeInstanceOf(TypeError);
});
