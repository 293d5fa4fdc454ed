/** A level's method: a text with fields behind it, or (as in pino) fields with a text behind them. */
export interface LogMethod {
  (message: string, fields?: object): void;
  (fields: object, message?: string): void;
}

/**
 * What the runner logs to, and what `c.log` is: six levels. pino's loggers fit as they are; of others only the six methods
 * are needed, since without `child` the bound fields are added to each line.
 */
export interface Logger {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  readonly fatal: LogMethod;
  /** A logger that adds fields to each of its lines. */
  child?(fields: Record<string, unknown>): Logger;
}

/** The levels, the least important first. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

export type LogLevel = (typeof logLevels)[number];

type Sink = (level: LogLevel, message: string, fields: object) => void;

/** A logger that writes one line of text per entry to standard error, from a least level on; "silent": nothing. */
export function consoleLogger(least: LogLevel | "silent" = "info"): Logger {
  const from = least === "silent" ? logLevels.length : logLevels.indexOf(least);
  return loggerOf((level, message, fields) => {
    if (logLevels.indexOf(level) < from) return;
    console.error(`stagedoor ${level}: ${[message, ...Object.entries(fields).map(([k, v]) => `${k}=${show(v)}`)].join(" ")}`);
  });
}

/** A logger that adds `fields` to each line of `log`, by its own `child` where it has one. */
export function bindLogger(log: Logger, fields: Record<string, unknown>): Logger {
  if (log.child !== undefined) return log.child(fields);
  return loggerOf((level, message, more) => {
    log[level](message, { ...fields, ...more });
  });
}

function loggerOf(sink: Sink): Logger {
  const at =
    (level: LogLevel): LogMethod =>
    (first: string | object, second?: string | object) => {
      if (typeof first === "string") sink(level, first, typeof second === "object" ? second : {});
      else sink(level, typeof second === "string" ? second : "", first);
    };
  return { trace: at("trace"), debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), fatal: at("fatal") };
}

function show(value: unknown): string {
  if (value instanceof Error) return showError(value);
  if (typeof value === "string") return /^[^\s="]+$/.test(value) ? value : JSON.stringify(value);
  try {
    return JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? `${v}n` : v)) ?? String(value);
  } catch {
    return String(value);
  }
}

/** What it says of itself, with its code if it has one, and where it was thrown. */
function showError(error: Error): string {
  const header = `${error.name}: ${error.message}`;
  return error.stack?.startsWith(header) ? String(error) + error.stack.slice(header.length) : `${String(error)} ${error.stack ?? ""}`;
}
