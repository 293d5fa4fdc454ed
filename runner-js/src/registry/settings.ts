/** How the text of an environment variable is read. */
export type SettingKind = "text" | "count" | "flag" | "level";

/** One option of `setup()`, and the variables that stand for it, the first that is set counts. */
export interface Setting {
  readonly option: string;
  readonly variables: readonly string[];
  readonly kind: SettingKind;
  /** For the table in the README. */
  readonly fallback: string;
  readonly meaning: string;
}

/**
 * All options of `setup()` besides `use`, with their variables: what is given in code wins, then STAGEDOOR_*, then RIVET_*,
 * then the default. The table in the README is this one; a test compares them.
 */
export const settings = [
  {
    option: "endpoint",
    variables: ["STAGEDOOR_ENDPOINT", "RIVET_ENDPOINT"],
    kind: "text",
    fallback: "the development gateway; none in production",
    meaning: "Where the gateway is, `https://namespace:token@host`: namespace and token may also stand in options of their own, which win.",
  },
  { option: "token", variables: ["STAGEDOOR_TOKEN", "RIVET_TOKEN"], kind: "text", fallback: "none", meaning: "The runner's token." },
  {
    option: "namespace",
    variables: ["STAGEDOOR_NAMESPACE", "RIVET_NAMESPACE"],
    kind: "text",
    fallback: "`default`",
    meaning: "The namespace of clients in this process and of those that read `metadata`. A runner serves all namespaces.",
  },
  {
    option: "runnerName",
    variables: ["STAGEDOOR_RUNNER_NAME", "STAGEDOOR_POOL", "RIVET_RUNNER", "RIVET_POOL"],
    kind: "text",
    fallback: "the gateway's",
    meaning: "The pool of runners that this one belongs to.",
  },
  {
    option: "runnerVersion",
    variables: ["STAGEDOOR_RUNNER_VERSION", "RIVET_RUNNER_VERSION", "RIVET_ENVOY_VERSION"],
    kind: "count",
    fallback: "0",
    meaning: "The version of your code: runners of the highest take new actors.",
  },
  { option: "region", variables: ["STAGEDOOR_REGION", "RIVET_REGION"], kind: "text", fallback: "the gateway's", meaning: "Where the runner is." },
  {
    option: "publicEndpoint",
    variables: ["STAGEDOOR_PUBLIC_ENDPOINT", "RIVET_PUBLIC_ENDPOINT"],
    kind: "text",
    fallback: "in development the endpoint, else none",
    meaning: "Where clients reach the gateway, in the form of `endpoint`: told by `metadata`.",
  },
  {
    option: "publicToken",
    variables: ["STAGEDOOR_PUBLIC_TOKEN", "RIVET_PUBLIC_TOKEN"],
    kind: "text",
    fallback: "none",
    meaning: "The token that `metadata` gives to everybody who asks.",
  },
  {
    option: "clientToken",
    variables: ["STAGEDOOR_CLIENT_TOKEN"],
    kind: "text",
    fallback: "`publicToken`, else `token`",
    meaning: "The token of `createClient()` and `c.client()` in this process.",
  },
  {
    option: "basePath",
    variables: ["STAGEDOOR_BASE_PATH"],
    kind: "text",
    fallback: "`/api/rivet`",
    meaning: "Under which path `handler` and `serve` answer.",
  },
  {
    option: "port",
    variables: ["STAGEDOOR_PORT", "PORT"],
    kind: "count",
    fallback: "3000",
    meaning: "Where `listen()`, and `serve()` of a Node program, take HTTP.",
  },
  {
    option: "logLevel",
    variables: ["STAGEDOOR_LOG_LEVEL", "RIVET_LOG_LEVEL"],
    kind: "level",
    fallback: "`info`",
    meaning: "The least level of the runner's own logger: `trace`, `debug`, `info`, `warn`, `error`, `fatal`, `silent`.",
  },
  { option: "logger", variables: [], kind: "text", fallback: "text on standard error", meaning: "A logger of your own, such as pino's." },
  {
    option: "drainTimeoutMs",
    variables: ["STAGEDOOR_DRAIN_TIMEOUT_MS"],
    kind: "count",
    fallback: "30000",
    meaning: "How long `shutdown()` waits for the actors to be handed over, in milliseconds.",
  },
  {
    option: "handleSignals",
    variables: ["STAGEDOOR_HANDLE_SIGNALS"],
    kind: "flag",
    fallback: "`true`",
    meaning: "SIGTERM and SIGINT call `shutdown()`, then end the process, if nobody else listens to them; a second one ends it at once.",
  },
] as const satisfies readonly Setting[];

export type SettingName = (typeof settings)[number]["option"];

/** The first of a setting's variables that is set and not empty, read as its kind; undefined: none is. */
export function fromEnvironment(setting: Setting, env: Readonly<Record<string, string | undefined>>): string | number | boolean | undefined {
  for (const variable of setting.variables) {
    const text = env[variable];
    if (text !== undefined && text !== "") return read(setting.kind, text, variable);
  }
  return undefined;
}

function read(kind: SettingKind, text: string, variable: string): string | number | boolean {
  switch (kind) {
    case "text":
    case "level":
      return text;
    case "count":
      if (!/^\d{1,15}$/.test(text)) throw new TypeError(`${variable} is ${JSON.stringify(text)}, not a number`);
      return Number(text);
    case "flag":
      if (!/^(true|false|1|0)$/.test(text)) throw new TypeError(`${variable} is ${JSON.stringify(text)}, not true or false`);
      return text === "true" || text === "1";
    default:
      return kind satisfies never;
  }
}
