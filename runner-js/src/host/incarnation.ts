import { bindLogger } from "../actor/log.ts";
import type { Logger } from "../actor/log.ts";
import type { Definition } from "../actor/definition.ts";
import type { Port, Seat } from "../link/port.ts";
import type { Root } from "../state/index.ts";
import type { ActorIntent, ActorMessage, Adopted, ConnectionOpen, HostedActor, StartActor, StopActor, StopOutcome, WireError } from "../wire/messages.ts";
import { offerOf, rejoin, setAdrift } from "./adopt.ts";
import { Arrival } from "./arrival.ts";
import { CallTurn } from "./call.ts";
import { Connections } from "./connections.ts";
import { HostContext } from "./context.ts";
import { failTurns } from "./crash.ts";
import { ActorData } from "./data.ts";
import { ended, errorOf, tell, wireFault } from "./fault.ts";
import { FenceTurn } from "./fence.ts";
import { GoneTurn } from "./gone.ts";
import type { ActorHost } from "./host.ts";
import { KvStore } from "./kv.ts";
import { Ledger } from "./ledger.ts";
import { Mailbox } from "./mailbox.ts";
import { OpenTurn } from "./open.ts";
import { Outbox } from "./outbox.ts";
import { Reads } from "./reads.ts";
import { Rest } from "./rest.ts";
import { StartTurn } from "./start.ts";
import { Stop } from "./stop.ts";
import type { ActorType } from "./type.ts";

/** Ending is what ActorStopped will say. */
export interface Ending {
  readonly outcome: StopOutcome;
  readonly error: WireError | undefined;
}

/**
 * Incarnation is one actor in memory, from StartActor to ActorStopped [LIFE-9], also where it is adopted in between [LEASE-4]. It is the
 * protocol's side of the actor's life; its parts do the rest.
 */
export class Incarnation implements Seat {
  readonly host: ActorHost;
  readonly type: ActorType;
  readonly id: string;
  readonly key: readonly string[];
  readonly region: string;
  port: Port;
  generation: number;
  nonce: Uint8Array;

  readonly data: ActorData;
  readonly ledger: Ledger;
  readonly outbox: Outbox;
  readonly mailbox: Mailbox;
  readonly conns: Connections;
  readonly reads: Reads;
  readonly rest: Rest;
  readonly context: HostContext;

  /** It may commit: a new actor has its first state [STATE-1]. */
  born = false;
  /** The start has succeeded. */
  ready = false;
  /** The last turn has begun: no others do. */
  closing = false;
  over = false;
  /** Its session is lost, and it was not adopted yet: no turn begins, nothing is sent. */
  adriftNow = false;
  stop: Stop | undefined;
  ending: Ending | undefined;
  crashed: WireError | undefined;
  #destroying: "" | "wished" | "told" = "";
  #arrival: Arrival | undefined;
  #abort: AbortController | undefined;
  #log: Logger | undefined;
  #kv: KvStore | undefined;
  #client: unknown;

  constructor(host: ActorHost, type: ActorType, m: StartActor, port: Port) {
    this.host = host;
    this.type = type;
    this.id = m.id;
    this.key = Object.freeze(m.key);
    this.region = m.region;
    this.port = port;
    this.generation = m.generation;
    this.nonce = m.nonce;
    this.ledger = new Ledger(this);
    this.outbox = new Outbox(this, m.version);
    this.mailbox = new Mailbox(this);
    this.conns = new Connections(this);
    this.reads = new Reads(this);
    this.rest = new Rest(this);
    this.context = new HostContext(this);
    this.data = new ActorData(this);
    this.#arrive(m.restoredConnections, (restored) => this.#start(m, restored));
  }

  get def(): Definition {
    return this.type.def;
  }

  get name(): string {
    return this.type.name;
  }

  get root(): Root {
    return this.data.root;
  }

  get log(): Logger {
    this.#log ??= bindLogger(this.host.log, { actor: this.name, key: this.key, id: this.id });
    return this.#log;
  }

  /** report logs; a logger that fails, or cannot show what was thrown, costs nothing but the line. */
  report(level: "debug" | "info" | "warn" | "error", message: string, fields: object): void {
    try {
      this.log[level](message, fields);
    } catch {
      // There is nobody to tell.
    }
  }

  get kv(): KvStore {
    this.#kv ??= new KvStore(this);
    return this.#kv;
  }

  get client(): unknown {
    this.#client ??= this.host.clientFor(() => this.save());
    return this.#client;
  }

  /** halting: a stop has begun. */
  get halting(): boolean {
    return this.stop !== undefined || this.over;
  }

  /** The signal that a stop has begun. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.halting) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  // What the link says.

  receive(m: ActorMessage): void {
    if (this.over) return;
    switch (m.kind) {
      case "call":
        if (this.#takesCalls()) this.mailbox.take(new CallTurn(this, m));
        else this.giveBack(m.id);
        return;
      case "commitResult":
        return this.#commitResult(m.error, this.outbox.commitResult(m));
      case "cancelCall":
        return this.mailbox.cancel(m.id, m.reason);
      case "kvResult":
        return this.reads.result(m);
      case "connectionOpen":
        return this.#open(m);
      case "connectionClose":
        if (this.#takesTurns()) this.mailbox.take(GoneTurn.byRef(this, m.connection));
        return;
      case "fence":
        if (this.#takesTurns()) this.mailbox.take(new FenceTurn(this, m));
        return;
      case "stopActor":
        return this.#stopActor(m);
    }
  }

  writable(): void {
    if (!this.over) this.proceed();
  }

  leased(): void {
    this.mailbox.pump();
  }

  adrift(): HostedActor | undefined {
    if (this.over) return undefined;
    if (this.adriftNow) {
      this.#arrival = undefined;
      return offerOf(this);
    }
    if (!this.ready || this.halting || this.closing || this.crashed !== undefined || this.ending !== undefined) {
      this.drop();
      return undefined;
    }
    this.adriftNow = true;
    setAdrift(this);
    return offerOf(this);
  }

  adopted(m: Adopted, port: Port): void {
    if (this.over) return;
    if (m.error !== undefined) {
      this.report("info", "the actor was not adopted; it is over here", { error: `${m.error.group}.${m.error.code}` });
      return this.drop();
    }
    this.port = port;
    this.generation = m.generation;
    this.nonce = m.nonce;
    const { outbox } = this;
    const applied = outbox.sentBefore && m.version === outbox.version + 1;
    if (m.version !== outbox.version && !applied) {
      this.report("error", "the actor was adopted with another version than it has", { version: m.version, has: outbox.version });
      return this.end("fenced");
    }
    outbox.unfold(applied);
    this.#arrive(m.restoredConnections, (restored) => this.#rejoin(restored));
  }

  drop(): void {
    if (this.over) return;
    this.over = true;
    this.#halt();
    this.mailbox.empty(false);
    this.ledger.drop();
    this.outbox.drop();
    this.reads.end();
    this.rest.end();
    this.stop?.end();
    this.host.forget(this);
  }

  // The start.

  #arrive(expected: number, then: (restored: readonly ConnectionOpen[]) => void): void {
    this.#arrival = new Arrival(expected, then);
    this.#arrived();
  }

  #open(m: ConnectionOpen): void {
    if (m.restored) {
      this.#arrival?.add(m);
      this.#arrived();
    } else if (this.#takesCalls()) {
      this.mailbox.take(new OpenTurn(this, m));
    } else {
      this.giveBack(m.call);
    }
  }

  #arrived(): void {
    const arrival = this.#arrival;
    if (arrival?.complete !== true) return;
    this.#arrival = undefined;
    arrival.go();
  }

  #start(m: StartActor, restored: readonly ConnectionOpen[]): void {
    this.mailbox.take(new StartTurn(this, m, restored));
    if (this.def.hooks.onDisconnect === undefined) return;
    for (const gone of m.goneConnections) this.mailbox.take(GoneTurn.before(this, gone));
  }

  /** started: the start's hooks are done. */
  started(): void {
    if (this.crashed !== undefined) return;
    this.ready = true;
    this.outbox.say({ kind: "actorReady", actor: this.port.ref });
    this.#intendDestroy();
    this.rest.run();
  }

  /** startFailed reports the failure, behind the commit that may be under way [LIFE-3]. Calls that wait go back. */
  startFailed(thrown: unknown): void {
    if (this.over || this.crashed !== undefined || this.ending !== undefined) return;
    const { error, hidden } = tell(thrown, "yes", this.port.session);
    if (hidden) this.report("error", "the start failed", { error: thrown });
    this.ledger.drop();
    this.closing = true;
    this.ending = { outcome: "startFailed", error };
    this.mailbox.empty(true);
    this.afterFlush();
  }

  #rejoin(restored: readonly ConnectionOpen[]): void {
    rejoin(this, restored);
    this.adriftNow = false;
    if (this.#destroying === "told") this.#destroying = "wished";
    this.#intendDestroy();
    this.report("debug", "the actor was adopted", { version: this.outbox.version });
    this.rest.begin();
    this.proceed();
  }

  // Turns.

  /** mayBegin tells whether a turn may begin now [LEASE-2]. */
  mayBegin(): boolean {
    if (this.over || this.adriftNow || this.#arrival !== undefined || !this.#takesTurns()) return false;
    return !this.outbox.overfull && this.port.session.leaseValid();
  }

  #takesTurns(): boolean {
    return !this.closing && this.crashed === undefined;
  }

  #takesCalls(): boolean {
    return !this.halting && this.#takesTurns();
  }

  /** giveBack: the next generation, or another runner, may take the call [CALL-9]. */
  giveBack(id: number): void {
    this.outbox.say({ kind: "callResult", actor: this.port.ref, id, error: wireFault("actor.stopping"), notRun: true });
  }

  /** turnEnded: a turn that had to wait for something has ended. */
  turnEnded(): void {
    if (this.over) return;
    this.rest.begin();
    this.mailbox.pump();
    this.rest.ask();
  }

  // Flushes and what follows them.

  /** bear lets an actor commit from now on, if it has a state: its first commit holds it [STATE-1]. */
  bear(): void {
    if (this.born || this.data.phase === "bare") return;
    this.born = true;
    this.root.dirty = true;
  }

  /** save flushes; it is fulfilled when everything changed so far is durable, and undefined if it is [FLUSH-1]. */
  save(): Promise<void> | undefined {
    this.bear();
    if (!this.ledger.flush()) return ended();
    this.afterFlush();
    return this.outbox.saved();
  }

  #commitResult(error: WireError | undefined, mine: boolean): void {
    if (error !== undefined) {
      this.report("error", "a commit was refused; the actor is over", { error: `${error.group}.${error.code}` });
      this.end("fenced");
    } else if (mine) {
      this.proceed();
    }
  }

  /** proceed goes on after something that the actor may have waited for: an answer, credit, another session. */
  proceed(): void {
    this.outbox.advance();
    this.afterFlush();
    if (!this.over) this.mailbox.pump();
  }

  /** afterFlush does what follows a flush and an acknowledgement: intents, and the end if it is due. */
  afterFlush(): void {
    if (this.over || !this.outbox.idle) return;
    if (this.crashed !== undefined) this.end("crashed", this.crashed);
    else if (this.ending !== undefined) this.end(this.ending.outcome, this.ending.error);
    else this.rest.ask();
  }

  intend(intent: ActorIntent["intent"]): void {
    this.port.send({ kind: "actorIntent", actor: this.port.ref, intent });
  }

  /** destroy is the user's wish. It goes before the answer of its turn: nobody who has seen that still finds the actor. */
  destroy(): void {
    if (this.#destroying === "") this.#destroying = "wished";
    if (this.stop !== undefined) this.stop.destroys = true; // the gateway takes no wishes any more
    this.#intendDestroy();
  }

  #intendDestroy(): void {
    if (this.#destroying !== "wished" || !this.ready || this.halting || this.adriftNow) return;
    this.#destroying = "told";
    this.intend("destroy");
  }

  // The end.

  #stopActor(m: StopActor): void {
    if (m.reason === "fenced" || this.adriftNow) return this.end("fenced");
    if (this.#arrival !== undefined) return this.end("startFailed", wireFault("actor.stopping")); // its start has not begun
    if (this.stop !== undefined) {
      if (m.reason === "destroy") this.stop.destroys = true; // it may follow a sleep that has not begun
      return;
    }
    this.stop = new Stop(this, m);
    if (this.#destroying !== "") this.stop.destroys = true; // the wish has crossed it
    this.#halt();
    this.stop?.whenFree();
  }

  #halt(): void {
    this.#abort?.abort();
    for (const turn of this.mailbox.running) turn.halt();
  }

  /**
   * crash ends an actor that cannot go on, such as one whose state is too large: after the commit under way the gateway restarts it
   * from there [STATE-2].
   */
  crash(error: WireError): void {
    if (this.over || this.crashed !== undefined) return;
    if (!this.ready) return this.startFailed(errorOf(error));
    this.report("error", "the actor crashed; it restarts from its last commit", { error: `${error.group}.${error.code}: ${error.message}` });
    this.crashed = error;
    if (this.adriftNow) { // nobody is there to be told
      this.drop();
      return this.port.close();
    }
    failTurns(this, error);
    this.afterFlush();
  }

  /** end is the last thing an incarnation does: ActorStopped. */
  end(outcome: StopOutcome, error?: WireError): void {
    if (this.over) return;
    const { port } = this;
    port.send({ kind: "actorStopped", actor: port.ref, outcome, error });
    this.drop();
    port.close();
  }
}
