import { kindOf } from "../actor/keys.ts";
import { consoleLogger, logLevels } from "../actor/log.ts";
import type { Logger, LogLevel } from "../actor/log.ts";
import { checkNamespace, parseEndpoint } from "./endpoint.ts";
import { toldOf } from "./refused.ts";
import { fromEnvironment, settings } from "./settings.ts";
import type { SettingName } from "./settings.ts";

/** What `setup()` takes besides `use`; the README has the table with the variables and defaults. */
export interface RegistryOptions {
  /** Where the gateway is: `https://namespace:token@host`. */
  readonly endpoint?: string | undefined;
  /** The runner's token. */
  readonly token?: string | undefined;
  readonly namespace?: string | undefined;
  /** The pool of runners. */
  readonly runnerName?: string | undefined;
  /** The version of your code. */
  readonly runnerVersion?: number | undefined;
  readonly region?: string | undefined;
  /** Where clients reach the gateway. */
  readonly publicEndpoint?: string | undefined;
  /** The token that `metadata` tells. */
  readonly publicToken?: string | undefined;
  /** The token of clients in this process. */
  readonly clientToken?: string | undefined;
  /** Default: /api/rivet */
  readonly basePath?: string | undefined;
  /** Of `listen()` and of `serve()` under Node. */
  readonly port?: number | undefined;
  readonly logLevel?: LogLevel | "silent" | undefined;
  readonly logger?: Logger | undefined;
  readonly drainTimeoutMs?: number | undefined;
  readonly handleSignals?: boolean | undefined;
}

/** What holds, after code, environment and defaults. */
export interface Config {
  /** undefined: none is configured. */
  readonly endpoint: string | undefined;
  readonly token: string;
  readonly clientToken: string;
  readonly namespace: string;
  readonly runnerName: string;
  readonly runnerVersion: number;
  readonly region: string;
  readonly public: { readonly endpoint: string | undefined; readonly namespace: string; readonly token: string };
  readonly basePath: string;
  readonly port: number;
  readonly log: Logger;
  readonly drainTimeoutMs: number;
  readonly handleSignals: boolean;
  /** NODE_ENV is not "production". */
  readonly development: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Puts code, environment and defaults together. What is wrong is a TypeError that names option and variable. */
export function resolveConfig(options: RegistryOptions, env: Environment): Config {
  const get = <N extends SettingName>(name: N): RegistryOptions[N] => options[name] ?? environment(name, env);
  const endpoint = withCredentials(options, env, "endpoint");
  const publicEndpoint = withCredentials(options, env, "publicEndpoint");
  const development = env["NODE_ENV"] !== "production";
  const namespace = options.namespace ?? endpoint?.namespace ?? environment("namespace", env) ?? "default";
  const token = options.token ?? endpoint?.token ?? environment("token", env) ?? "";
  const publicToken = options.publicToken ?? publicEndpoint?.token ?? environment("publicToken", env) ?? "";
  return {
    endpoint: endpoint?.url,
    token,
    clientToken: get("clientToken") ?? (publicToken || token),
    namespace: checkNamespace(namespace, "setup(): namespace"),
    runnerName: get("runnerName") ?? "",
    runnerVersion: get("runnerVersion") ?? 0,
    region: get("region") ?? "",
    public: {
      endpoint: publicEndpoint?.url ?? (development ? endpoint?.url : undefined),
      namespace: publicEndpoint?.namespace ?? namespace,
      token: publicToken,
    },
    basePath: checkBasePath(get("basePath") ?? "/api/rivet"),
    port: get("port") ?? 3000,
    log: options.logger ?? consoleLogger(checkLevel(get("logLevel") ?? "info")),
    drainTimeoutMs: get("drainTimeoutMs") ?? 30_000,
    handleSignals: get("handleSignals") ?? true,
    development,
  };
}

/** Logs an error also where the configuration, of which the log is a part, is what is wrong. */
export function report(config: () => Config, level: "error" | "fatal", what: string, error: unknown): void {
  try {
    config().log[level](what, { error: toldOf(error) });
  } catch {
    console.error(`stagedoor: ${what}: ${String(error)}`);
  }
}

/** Refuses options of a wrong type where they are given, not where they are used. */
export function checkOptionTypes(options: Readonly<Record<string, unknown>>): void {
  for (const { option, kind } of settings) {
    const value = options[option];
    if (value === undefined) continue;
    if (option === "logger") checkLogger(value);
    else if (kind === "count") checkCount(option, value);
    else if (kind === "level") checkLevel(value);
    else if (typeof value !== (kind === "flag" ? "boolean" : "string")) {
      throw new TypeError(`setup(): ${option} must be ${kind === "flag" ? "true or false" : "text"}, and is ${kindOf(value)}`);
    }
  }
}

function environment<N extends SettingName>(name: N, env: Environment): RegistryOptions[N] {
  const setting = settings.find((s) => s.option === name);
  return setting && (fromEnvironment(setting, env) as RegistryOptions[N]);
}

function withCredentials(options: RegistryOptions, env: Environment, name: "endpoint" | "publicEndpoint") {
  if (options[name] !== undefined) return parseEndpoint(options[name], `setup(): ${name}`);
  const setting = settings.find((s) => s.option === name);
  const variable = setting?.variables.find((v) => env[v]);
  const text = variable && env[variable];
  return text ? parseEndpoint(text, variable) : undefined;
}

function checkBasePath(path: string): string {
  if (!path.startsWith("/") || /[?#\s]/.test(path)) {
    throw new TypeError(`setup(): basePath must be a path such as /api/rivet, and is ${JSON.stringify(path)}`);
  }
  return path.replace(/\/+$/, "");
}

function checkCount(option: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new TypeError(`setup(): ${option} must be a whole number from 0 on, and is ${typeof value === "number" ? value : kindOf(value)}`);
  }
}

function checkLevel(level: unknown): LogLevel | "silent" {
  const levels: readonly unknown[] = [...logLevels, "silent"];
  if (!levels.includes(level)) throw new TypeError(`setup(): logLevel must be one of ${levels.join(", ")}, and is ${JSON.stringify(level)}`);
  return level as LogLevel | "silent";
}

function checkLogger(logger: unknown): void {
  for (const level of logLevels) {
    if (typeof (logger as Record<string, unknown> | null)?.[level] !== "function") {
      throw new TypeError(`setup(): logger has no method ${level}; it needs ${logLevels.join(", ")}`);
    }
  }
}
