import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { defaultOptions } from "../src/actor/options.ts";
import { resolveConfig } from "../src/registry/config.ts";
import { developmentEndpoint, formatEndpoint, parseEndpoint } from "../src/registry/endpoint.ts";
import { settings } from "../src/registry/settings.ts";
import type { Setting } from "../src/registry/settings.ts";
import { version } from "../src/registry/version.ts";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

describe("the table of options", () => {
  test("is the one in the README", () => {
    const rows = settings.map((s: Setting) => `| \`${s.option}\` | ${s.variables.map((v) => `\`${v}\``).join(", ") || "–"} | ${s.fallback} | ${s.meaning} |`);
    expect(read("../README.md")).toContain(rows.join("\n"));
  });

  test("of actor types is the one in the README, too", () => {
    const rows = [...read("../README.md").matchAll(/^\| (`\w+`(?:, `\w+`)*) \| ([^|]+) \|/gm)].flatMap(([, names, fallback]) =>
      (names as string).split(", ").map((name) => [name.slice(1, -1), (fallback as string).replaceAll(/[`"]/g, "")]),
    );
    const table = Object.fromEntries(rows) as Record<string, string>;
    for (const [name, value] of Object.entries(defaultOptions)) expect([name, table[name]]).toEqual([name, value === undefined ? expect.stringMatching(/^the /) : String(value)]);
  });

  test("has STAGEDOOR_ before RIVET_", () => {
    for (const { variables } of settings as readonly Setting[]) {
      const firstOfRivet = variables.findIndex((v) => v.startsWith("RIVET_"));
      const lastOfOurs = variables.findLastIndex((v) => v.startsWith("STAGEDOOR_"));
      if (firstOfRivet >= 0) expect(lastOfOurs).toBeLessThan(firstOfRivet);
    }
  });
});

describe("what wins", () => {
  const env = {
    STAGEDOOR_ENDPOINT: "http://stage:6420",
    RIVET_ENDPOINT: "http://rivet:6420",
    RIVET_TOKEN: "of-rivet",
    STAGEDOOR_RUNNER_VERSION: "3",
    RIVET_RUNNER_VERSION: "2",
    RIVET_NAMESPACE: "space",
    STAGEDOOR_LOG_LEVEL: "warn",
    STAGEDOOR_HANDLE_SIGNALS: "false",
    PORT: "8080",
  };

  test("code, then STAGEDOOR_*, then RIVET_*, then the default", () => {
    expect(resolveConfig({ endpoint: "http://code:1" }, env).endpoint).toBe("http://code:1");
    expect(resolveConfig({}, env)).toMatchObject({
      endpoint: "http://stage:6420",
      token: "of-rivet",
      namespace: "space",
      runnerVersion: 3,
      handleSignals: false,
      port: 8080,
      basePath: "/api/rivet",
      drainTimeoutMs: 30_000,
    });
    expect(resolveConfig({}, { ...env, STAGEDOOR_ENDPOINT: "" }).endpoint).toBe("http://rivet:6420");
    expect(resolveConfig({}, {})).toMatchObject({ endpoint: undefined, token: "", namespace: "default", runnerVersion: 0, runnerName: "", port: 3000 });
  });

  test("an option over the endpoint's own namespace and token, which win over their variables", () => {
    const endpoint = "https://ns:to%3Aken@host.example/";
    expect(resolveConfig({ endpoint }, env)).toMatchObject({ endpoint: "https://host.example", namespace: "ns", token: "to:ken" });
    expect(resolveConfig({ endpoint, namespace: "other", token: "t" }, env)).toMatchObject({ namespace: "other", token: "t" });
  });

  test("what clients are told comes from the public endpoint, and in development from the endpoint", () => {
    const options = { endpoint: "https://ns:secret@inner.example", publicEndpoint: "https://pub:open@outer.example", publicToken: "explicit" };
    expect(resolveConfig(options, {}).public).toEqual({ endpoint: "https://outer.example", namespace: "pub", token: "explicit" });
    expect(resolveConfig({ endpoint: options.endpoint }, {}).public).toEqual({ endpoint: "https://inner.example", namespace: "ns", token: "" });
    expect(resolveConfig({ endpoint: options.endpoint }, { NODE_ENV: "production" }).public).toEqual({ endpoint: undefined, namespace: "ns", token: "" });
  });
});

describe("what is refused", () => {
  const cases: [what: string, env: Record<string, string>, says: RegExp][] = [
    ["an endpoint that is no URL", { STAGEDOOR_ENDPOINT: "nowhere" }, /^STAGEDOOR_ENDPOINT is not a URL/],
    ["another scheme", { RIVET_ENDPOINT: "ftp://host" }, /^RIVET_ENDPOINT has the scheme ftp/],
    ["an endpoint with a query", { STAGEDOOR_ENDPOINT: "http://host/?token=s3cret" }, /has a query or a fragment/],
    ["a version that is no number", { STAGEDOOR_RUNNER_VERSION: "v2" }, /^STAGEDOOR_RUNNER_VERSION is "v2", not a number/],
    ["a flag that is none", { STAGEDOOR_HANDLE_SIGNALS: "maybe" }, /^STAGEDOOR_HANDLE_SIGNALS is "maybe"/],
    ["a level that is none", { STAGEDOOR_LOG_LEVEL: "loud" }, /logLevel must be one of/],
    ["a base path that is none", { STAGEDOOR_BASE_PATH: "api" }, /basePath must be a path/],
    ["a namespace that is none", { STAGEDOOR_NAMESPACE: "a b" }, /namespace is not 1 to 64/],
  ];
  test.each(cases)("%s", (_, env, says) => {
    expect(() => resolveConfig({}, env)).toThrow(says);
  });

  test("no error names a token", () => {
    expect(() => resolveConfig({}, { STAGEDOOR_ENDPOINT: "http://ns:s3cret@host/?x=1" })).not.toThrow(/s3cret/);
  });
});

describe("endpoints", () => {
  test("take credentials apart and put them together", () => {
    for (const text of ["https://ns:t%40k@host.example", "http://127.0.0.1:6420", "http://ns@127.0.0.1:6420", "https://host.example/base"]) {
      expect(formatEndpoint(parseEndpoint(text, "it"))).toBe(text);
    }
    expect(parseEndpoint("wss://host.example/", "it").url).toBe("https://host.example");
  });

  test("of the development gateway follow STAGEDOOR_LISTEN", () => {
    const at = (listen?: string) => developmentEndpoint({ STAGEDOOR_LISTEN: listen });
    expect([at(), at("127.0.0.1:7000"), at(":7000"), at("0.0.0.0:7000"), at("[::]:7000"), at("[::1]:7000"), at("localhost:7000")]).toEqual([
      "http://127.0.0.1:6420",
      ...Array<string>(4).fill("http://127.0.0.1:7000"),
      "http://[::1]:7000",
      "http://localhost:7000",
    ]);
    expect(() => at("7000")).toThrow("write host:port");
  });
});

test("the version is that of the package", () => {
  expect(version).toBe((JSON.parse(read("../package.json")) as { version: string }).version);
});
