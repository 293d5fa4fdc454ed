// The reader's side of a session: what comes takes effect at once, in order; nothing here waits.
import { registry, type OwnCode } from "../gen/codes.ts";
import { decode, type GatewayMessage } from "../wire/decode.ts";
import { malformed } from "../wire/fault.ts";
import { Envelope, HEADER } from "../wire/frame.ts";
import * as kinds from "../wire/kinds.ts";
import type { ActorMessage, Adopted, Credit, Fence, StartActor, WireError } from "../wire/messages.ts";
import { Assembler } from "../wire/parts.ts";
import type { Host } from "./port.ts";
import type { Session } from "./session.ts";

/** Where the kinds that may be unknown have their number. */
const NUMBER_FIELD = 2;

/** Deliverer gives the frames of one session to those whom they concern. */
export class Deliverer {
  private readonly session: Session;
  private readonly host: Host;
  private readonly parts = new Assembler();
  private readonly whole = new Envelope();

  constructor(session: Session, host: Host) {
    this.session = session;
    this.host = host;
  }

  /** take takes one frame behind Welcome. What it throws ends the session. */
  take(e: Envelope, nowMs: number): void {
    const s = this.session;
    if (!kinds.isLinkKind(e.kind)) {
      s.state.count(e.end - e.start + HEADER, nowMs);
      if (e.kind === kinds.PART) return this.part(e);
      if (this.parts.isOpen(e.actor())) throw malformed("a frame of an actor between its parts");
    }
    this.deliver(e);
  }

  private part(e: Envelope): void {
    const m = decode(e);
    if (m?.kind !== "part") return;
    const frame = this.parts.add(m, this.session.limits.maxMessage);
    if (frame === undefined) return;
    this.whole.read(frame, 0, frame.length);
    if (this.whole.kind === kinds.PART) throw malformed("a part of parts");
    this.deliver(this.whole);
  }

  private deliver(e: Envelope): void {
    const s = this.session;
    const m = kinds.isNegotiated(e.kind, s.features) ? decode(e) : undefined;
    if (m === undefined) s.say({ kind: "unsupported", number: e.kind, id: e.number(NUMBER_FIELD) });
    else this.handle(m);
  }

  private handle(m: GatewayMessage): void {
    const s = this.session;
    switch (m.kind) {
      case "call":
        if (!this.toActor(m)) this.notHere(m.actor, m.id);
        return;
      case "connectionOpen":
        if (!this.toActor(m) && !m.restored) this.notHere(m.actor, m.call);
        return;
      case "commitResult":
      case "kvResult":
      case "cancelCall":
      case "stopActor":
      case "connectionClose":
        this.toActor(m);
        return;
      case "fence":
        return this.onFence(m);
      case "startActor":
        return this.onStart(m);
      case "principal":
        return s.bindPrincipal(m);
      case "adopted":
        return this.onAdopted(m);
      case "credit":
        return this.onCredit(m);
      case "ack":
        s.state.acknowledge(m);
        return s.nudge(); // there may be room for more
      case "resumed":
        return s.state.resumed(m);
      case "ping":
        s.state.pong(m.nonce);
        return s.nudge();
      case "pong":
        if (s.lease.renew(m.nonce, m.leaseMs)) s.leased();
        return;
      case "drain":
        return s.log.info("the gateway is going away", { code: m.code, deadlineMs: m.deadlineMs });
      case "unsupported":
        return s.log.warn("the gateway does not take a kind of frame", { kind: m.number, number: m.id });
      case "part":
      case "welcome":
      case "reject":
      case "goodbye":
        throw malformed(`a ${m.kind} in the middle of a session`);
    }
  }

  /** toActor: false where the actor is not here: the frame has crossed its end [LIFE-9]. */
  private toActor(m: ActorMessage): boolean {
    const seat = this.session.actors.get(m.actor)?.seat;
    seat?.receive(m);
    return seat !== undefined;
  }

  private notHere(actor: number, id: number): void {
    this.session.say({ kind: "callResult", actor, id, error: errorOf("actor.stopping"), notRun: true });
  }

  private onStart(m: StartActor): void {
    const s = this.session;
    const port = this.host.types.some((t) => t.name === m.type) ? s.open(m.actor) : undefined;
    if (port === undefined) {
      const error = errorOf("actor.start_failed", `This runner does not host the actor type ${JSON.stringify(m.type)}.`);
      s.say({ kind: "actorStopped", actor: m.actor, outcome: "startFailed", error });
      return;
    }
    port.seat = this.host.start(m, port);
  }

  private onFence(m: Fence): void {
    if (m.actor === 0) this.session.say({ kind: "fenceReached", nonce: m.nonce, actor: 0 }); // all before it has taken effect
    else this.toActor(m);
  }

  private onCredit(m: Credit): void {
    if (m.stream !== 0) return; // of a later protocol level
    if (m.actor === 0) this.session.purse.raise(m.offset);
    else this.session.actors.get(m.actor)?.credit(m.offset);
  }

  private onAdopted(m: Adopted): void {
    const s = this.session;
    const a = s.offers.get(m.old);
    s.offers.delete(m.old);
    if (a === undefined) return;
    const ended = a.isOver;
    a.isOver = true;
    const port = m.error === undefined ? s.open(m.actor) : undefined;
    if (ended) { // it has crashed, or waited too long
      if (port === undefined) return;
      port.send({ kind: "actorStopped", actor: m.actor, outcome: "fenced" });
      port.close();
      return;
    }
    if (port === undefined) {
      s.log.info("an actor was not adopted; it is over here", { actor: a.offer.id, code: m.error?.code });
      a.seat.drop();
      return;
    }
    port.seat = a.seat;
    a.seat.adopted(m, port);
  }
}

function errorOf(name: OwnCode, message?: string): WireError {
  const { retryable, ran, text } = registry[name];
  const [group, code] = name.split(".") as [string, string];
  return { group, code, message: message ?? text, retryable, ran, retryAfterMs: 0 };
}

