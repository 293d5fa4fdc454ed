// A host whose actors count and echo, without any of the machinery of src/host: what tests of the link need.
import { commitId, encodeChanges } from "../src/wire/changes.ts";
import type { ActorMessage, ActorTypeInfo, Adopted, Call, HostedActor, StartActor } from "../src/wire/messages.ts";
import type { Host, LinkLog, Port, Seat } from "../src/link/port.ts";



/** EchoHost serves the type `echo`: actions echo, save (adds one, durable), big (1 MB of output) and hold (never answers). */
export class EchoHost implements Host {
  readonly types: readonly ActorTypeInfo[];
  readonly seats = new Set<EchoSeat>();
  readonly events: string[] = [];
  /** Its actors do not stop when they are asked to. */
  stubborn = false;

  constructor(name = "echo") {
    this.types = [{ name, concurrency: "serial" }];
  }

  start(m: StartActor, port: Port): Seat {
    this.events.push("start");
    const seat = new EchoSeat(this, m, port);
    this.seats.add(seat);
    return seat;
  }
}

export class EchoSeat implements Seat {
  readonly start: StartActor;
  port: Port;
  generation: number;
  nonce: Uint8Array;
  version: number;
  /** The state: a number below 256. */
  count = 0;
  seen = 0;
  private readonly host: EchoHost;
  private inFlight: { changes: Uint8Array; call: number } | undefined;
  private waiting: Call[] = [];

  constructor(host: EchoHost, m: StartActor, port: Port) {
    this.host = host;
    this.start = m;
    this.port = port;
    this.generation = m.generation;
    this.nonce = m.nonce;
    this.version = m.version;
    this.count = m.state?.at(-1) ?? 0;
    if (m.create) this.commit(0);
    else this.ready();
  }

  receive(m: ActorMessage): void {
    const { port } = this;
    switch (m.kind) {
      case "call":
        this.seen++;
        return this.call(m);
      case "commitResult":
        if (m.error === undefined) this.committed();
        return;
      case "stopActor":
        this.host.events.push(`stop ${m.reason}`);
        if (this.host.stubborn) return;
        port.send({ kind: "actorStopped", actor: port.ref, outcome: m.reason === "fenced" ? "fenced" : "slept" });
        port.close();
        this.host.seats.delete(this);
        return;
      case "connectionOpen":
        if (!m.restored) port.send({ kind: "callResult", actor: port.ref, id: m.call });
        return;
      case "fence":
        return port.send({ kind: "fenceReached", nonce: m.nonce, actor: port.ref });
      default:
    }
  }

  private call(m: Call): void {
    if (m.action === "echo") this.answer(m.id, m.args);
    else if (m.action === "big") this.answer(m.id, bytesOf(1_000_000));
    else if (m.action === "save" && this.inFlight !== undefined) this.waiting.push(m);
    else if (m.action === "save") {
      this.count++;
      this.commit(m.id);
    }
  }

  private answer(id: number, output: Uint8Array): void {
    this.port.send({ kind: "callResult", actor: this.port.ref, id, output });
  }

  private commit(call: number): void {
    const changes = encodeChanges({ state: numberOf(this.count) });
    this.inFlight = { changes, call };
    this.sendCommit();
  }

  private sendCommit(): void {
    const { port, inFlight } = this;
    if (inFlight === undefined) return;
    port.send({ kind: "commit", actor: port.ref, version: this.version + 1, changes: inFlight.changes, outputs: inFlight.call > 0 ? 1 : 0 });
    if (inFlight.call > 0) this.answer(inFlight.call, numberOf(this.count));
  }

  private committed(): void {
    this.version++;
    this.inFlight = undefined;
    if (this.version === 1) this.ready();
    const next = this.waiting.shift();
    if (next !== undefined) this.call(next);
  }

  private ready(): void {
    this.port.send({ kind: "actorReady", actor: this.port.ref });
  }

  writable(): void {}

  adrift(): HostedActor | undefined {
    this.host.events.push("adrift");
    this.waiting = [];
    if (this.inFlight !== undefined) this.inFlight.call = 0;
    const pending = this.inFlight === undefined ? new Uint8Array(0) : commitId(this.inFlight.changes);
    const { generation, nonce, version } = this;
    return { id: this.start.id, generation, nonce, version, actor: this.port.ref, pending };
  }

  adopted(m: Adopted, port: Port): void {
    this.host.events.push("adopted");
    this.port = port;
    this.generation = m.generation;
    this.nonce = m.nonce;
    this.sendCommit();
  }

  leased(): void {
    this.host.events.push("leased");
  }

  drop(): void {
    this.host.events.push("drop");
    this.host.seats.delete(this);
  }
}

function numberOf(n: number): Uint8Array {
  return n < 24 ? Uint8Array.of(n) : Uint8Array.of(0x18, n);
}

/** bytesOf is one CBOR byte string of n bytes. */
function bytesOf(n: number): Uint8Array {
  const b = new Uint8Array(5 + n).fill(7);
  b[0] = 0x5a;
  new DataView(b.buffer).setUint32(1, n);
  return b;
}



/** linesOf is a log that keeps its lines. */
export function linesOf(): LinkLog & { lines: string[] } {
  const lines: string[] = [];
  const take = (level: string) => (message: string, fields?: object) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  };
  return { lines, debug: take("debug"), info: take("info"), warn: take("warn"), error: take("error") };
}

/** until waits for a condition, which something on the event loop makes true. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
