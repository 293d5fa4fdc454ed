import type { RunnerMessage } from "../wire/encode.ts";
import type { Feature } from "../wire/features.ts";
import type { Limits, Principal, Welcome } from "../wire/messages.ts";
import type { Writer } from "../wire/writer.ts";
import { ActorPort } from "./actor-port.ts";
import type { Adrift } from "./adrift.ts";
import type { Instant } from "./clock.ts";
import { Purse } from "./credit.ts";
import { Lease } from "./lease.ts";
import { LinkState } from "./linkstate.ts";
import type { LinkLog } from "./log.ts";
import { Lane } from "./outbox.ts";
import type { Feed, Outlet } from "./outlet.ts";
import type { PrincipalInfo, SessionInfo, SessionTimeouts } from "./port.ts";
import { termsOf, type Terms } from "./welcome.ts";

/** How much may wait to be written before actors that emit events wait too. Results are bounded by the calls outstanding. */
const MAX_QUEUED = 64 << 20;

/**
 * Session is what one Welcome has begun: the actors that the gateway gives this runner, until the session is lost and its refs
 * with it. Where both sides can resume it outlives its sockets [LINK-16].
 */
export class Session implements SessionInfo, Feed {
  readonly id: Uint8Array;
  readonly terms: Terms;
  readonly lease: Lease;
  readonly development: boolean;
  readonly region: string;
  readonly purse = new Purse();
  readonly state: LinkState;
  readonly actors = new Map<number, ActorPort>();
  /** Actors that were offered and not answered, by what Hosted calls them. */
  readonly offers = new Map<number, Adrift>();
  /** Called when the last actor has gone. */
  onEmpty: (() => void) | undefined;
  readonly log: LinkLog;

  private readonly base = new Lane(0);
  private readonly principals = new Map<number, PrincipalInfo>();
  private outlet: Outlet | undefined;
  private isOver = false;
  private ackTimer: NodeJS.Timeout | undefined;
  private waiting: ActorPort[] = [];

  /** helloAt is when the Hello was sent that this Welcome answers. */
  constructor(m: Welcome, helloAt: Instant, log: LinkLog) {
    this.id = m.session;
    this.terms = termsOf(m);
    this.lease = new Lease(m.leaseMs, m.marginMs, helloAt);
    this.development = m.development;
    this.region = m.region;
    this.log = log;
    this.state = new LinkState(this.features.has("resume") ? this.limits.maxUnackedBytes : 0);
    this.purse.raise(this.terms.linkWindow);
  }

  get limits(): Limits {
    return this.terms.limits;
  }

  get features(): ReadonlySet<Feature> {
    return this.terms.features;
  }

  get timeouts(): SessionTimeouts {
    return this.terms.timeouts;
  }

  get eventWindow(): number {
    return this.terms.eventWindow;
  }

  get maxEventCost(): number {
    return this.terms.maxEventCost;
  }

  leaseValid(): boolean {
    return this.lease.holds();
  }

  principal(ref: number): PrincipalInfo | undefined {
    return ref === 0 ? undefined : this.principals.get(ref);
  }

  bindPrincipal(m: Principal): void {
    if (m.gone) this.principals.delete(m.principal);
    else this.principals.set(m.principal, { kind: m.principalKind, subject: m.subject, claims: m.claims });
  }

  // Writing.

  /** say queues a counted frame that is about no actor. */
  say(m: RunnerMessage): void {
    this.push(this.base, m);
  }

  push(lane: Lane, m: RunnerMessage): void {
    if (this.isOver) return;
    this.state.push(lane, m);
    this.outlet?.nudge();
  }

  nudge(): void {
    this.outlet?.nudge();
  }

  /** take implements Feed. Without a lease nothing is written [LEASE-2]. */
  take(w: Writer, limit: number): void {
    if (this.isOver || !this.lease.holds()) return;
    this.state.take(w, limit, performance.now());
    if (this.waiting.length > 0 && !this.isCrowded) this.freeRoom();
  }

  get isCrowded(): boolean {
    return this.state.queued >= MAX_QUEUED;
  }

  /** awaitRoom has the actor told when there is room again. */
  awaitRoom(port: ActorPort): void {
    this.waiting.push(port);
  }

  private freeRoom(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const port of waiting) port.retry();
  }

  /** acknowledge sees to it that what has come is acknowledged in time [LINK-14]. */
  acknowledge(): void {
    const inMs = this.state.ackInMs(performance.now());
    if (inMs === 0) this.nudge();
    else if (inMs !== undefined) {
      this.ackTimer ??= setTimeout(() => {
        this.ackTimer = undefined;
        this.acknowledge();
      }, Math.ceil(inMs));
    }
  }

  // Sockets.

  /** begin takes the session's first socket. */
  begin(outlet: Outlet): void {
    this.outlet = outlet;
    outlet.feedFrom(this);
  }

  /** attach goes on over another socket, whose peer has received that many frames. */
  attach(outlet: Outlet, peerReceived: number): void {
    this.state.attach(peerReceived);
    this.begin(outlet);
  }

  /** detach leaves the socket. What is pushed from now on waits for another one. */
  detach(): void {
    this.state.detach();
    this.outlet = undefined;
  }

  // Actors.

  /** open makes a place for an actor; undefined: the ref is taken. */
  open(ref: number): ActorPort | undefined {
    if (this.actors.has(ref)) return undefined;
    const port = new ActorPort(this, ref);
    this.actors.set(ref, port);
    return port;
  }

  forget(port: ActorPort): void {
    if (this.actors.get(port.ref) === port) this.actors.delete(port.ref);
    if (this.actors.size === 0) this.onEmpty?.();
  }

  /** leased lets the actors and the writer go on that found no lease. */
  leased(): void {
    for (const port of [...this.actors.values()]) port.seat?.leased();
    this.nudge();
  }

  /** end ends the session; its refs mean nothing any more. */
  end(): void {
    this.isOver = true;
    this.outlet = undefined;
    this.onEmpty = undefined;
    clearTimeout(this.ackTimer);
    for (const port of this.actors.values()) port.detach();
  }
}
