import type { Definition } from "../actor/definition.ts";
import type { Config } from "./config.ts";
import { ensureGateway } from "./development.ts";
import { developmentEndpoint } from "./endpoint.ts";
import { toldOf } from "./refused.ts";
import { startRunner } from "./runner.ts";
import type { RunningRunner } from "./runner.ts";
import { onStopSignal } from "./signals.ts";

/** One registry's runner: started once, whoever asks first, and stopped with what else the registry has open. */
export class Lifecycle {
  readonly #use: Readonly<Record<string, Definition>>;
  readonly #config: () => Config;
  readonly #client: () => object;
  /** Closed by stop, behind the runner. */
  readonly #closers = new Set<() => Promise<void>>();
  #starting: Promise<void> | undefined;
  /** Ends a start that is not yet a runner. */
  #canceled = new AbortController();
  #runner: RunningRunner | undefined;
  #stopping: Promise<void> | undefined;
  #releaseSignals: (() => void) | undefined;
  #leaveGateway: (() => void) | undefined;
  #down = false;

  constructor(use: Readonly<Record<string, Definition>>, config: () => Config, client: () => object) {
    this.#use = use;
    this.#config = config;
    this.#client = client;
  }

  /** Where the gateway is: configured, or in development the local one. */
  endpoint(): string {
    const config = this.#config();
    if (config.endpoint !== undefined) return config.endpoint;
    if (config.development) return developmentEndpoint(process.env);
    throw new Error("no endpoint is configured: set STAGEDOOR_ENDPOINT, or setup({ endpoint })");
  }

  /** Starts the runner, if it does not run; fulfilled when the gateway has taken it. After a failure the next call tries again. */
  start(): Promise<void> {
    this.#down = false;
    this.#starting ??= this.#start().catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  /** What was told to stop stays down until somebody starts it in so many words: requests and clients that come late do not. */
  get down(): boolean {
    return this.#down;
  }

  /** Has something closed when the registry stops. */
  onStop(close: () => Promise<void>): void {
    this.#closers.add(close);
    this.#handleSignals();
  }

  /** Hands the actors over, stops the runner, and closes what is open. */
  stop(): Promise<void> {
    this.#down = true;
    this.#stopping ??= this.#stop().finally(() => (this.#stopping = undefined));
    return this.#stopping;
  }

  async #start(): Promise<void> {
    const { signal } = (this.#canceled = new AbortController());
    if (this.#stopping !== undefined) await this.#stopping;
    const config = this.#config();
    const endpoint = this.endpoint();
    this.#handleSignals();
    if (config.endpoint === undefined) this.#leaveGateway ??= await ensureGateway(process.env, config.log);
    if (signal.aborted) {
      this.#leave();
      throw new Error("the runner was stopped before it began");
    }
    const runner = startRunner({ config, endpoint, use: this.#use, client: this.#client });
    this.#runner = runner;
    let taken = false;
    const over = (): void => {
      if (this.#runner === runner) this.#runner = this.#starting = undefined;
    };
    runner.ended.then(over, (error: unknown) => {
      over();
      if (!taken) return; // whoever started it is told
      config.log.fatal("the gateway does not take this runner any more", { error: toldOf(error) });
      process.exitCode = 1;
    });
    await runner.ready;
    taken = true;
  }

  async #stop(): Promise<void> {
    this.#canceled.abort();
    const runner = this.#runner;
    runner?.stop();
    await runner?.ended.catch(() => undefined);
    await Promise.allSettled([...this.#closers].map((close) => close()));
    this.#closers.clear();
    this.#leave();
    this.#releaseSignals?.();
    this.#releaseSignals = undefined;
  }

  #leave(): void {
    this.#leaveGateway?.();
    this.#leaveGateway = undefined;
  }

  #handleSignals(): void {
    if (this.#releaseSignals !== undefined || !this.#config().handleSignals) return;
    this.#releaseSignals = onStopSignal(() => this.stop());
  }
}
