// Actors between a session that is lost and one that adopts them [LEASE-4] [LINK-19].
import type { HostedActor } from "../wire/messages.ts";
import type { ActorPort } from "./actor-port.ts";
import { MAX_TIMEOUT_MS } from "./clock.ts";
import type { Seat } from "./port.ts";
import type { Session } from "./session.ts";

/** How many actors one Hosted offers. */
const MAX_OFFERED = 512;
/** How long actors without a session and without a lease wait to be adopted. */
const UNLEASED_WAIT_MS = 60_000;

/** Adrift is an actor that waits to be adopted. */
export class Adrift {
  readonly seat: Seat;
  offer: HostedActor;
  /** It was adopted, or has ended. */
  isOver = false;

  constructor(seat: Seat, offer: HostedActor) {
    this.seat = seat;
    this.offer = offer;
  }

  drop(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.seat.drop();
  }
}

/** setAdrift ends the session, and gives those of its actors that may be adopted. The others are dropped without hooks. */
export function setAdrift(s: Session): Adrift[] {
  s.end();
  const adopt = s.features.has("adopt");
  const adrift: Adrift[] = [];
  for (const port of s.actors.values()) {
    const a = adopt ? leave(port) : undefined;
    if (a !== undefined) adrift.push(a);
    else if (!adopt) port.seat?.drop();
  }
  for (const a of s.offers.values()) {
    const offer = a.isOver ? undefined : a.seat.adrift();
    if (offer === undefined) a.isOver = true;
    else adrift.push(Object.assign(a, { offer }));
  }
  giveUpLater(s, adrift);
  return adrift;
}

function leave(port: ActorPort): Adrift | undefined {
  const { seat } = port;
  const offer = seat?.adrift();
  if (seat === undefined || offer === undefined) return undefined;
  const a = new Adrift(seat, offer);
  port.onClose = () => {
    a.isOver = true;
  };
  return a;
}

/** giveUpLater drops those that nobody has adopted when one more lease is over. */
function giveUpLater(lost: Session, adrift: readonly Adrift[]): void {
  if (adrift.length === 0) return;
  lost.log.warn("the session is lost; its actors wait for another one", { actors: adrift.length });
  const offers = adrift.map((a) => a.offer);
  const timer = setTimeout(
    () => {
      const left = adrift.filter((a, i) => !a.isOver && a.offer === offers[i]);
      if (left.length > 0) lost.log.info("nobody has adopted actors; they are over here", { actors: left.length });
      for (const a of left) a.drop();
    },
    Math.min(lost.lease.graceMs() ?? UNLEASED_WAIT_MS, MAX_TIMEOUT_MS),
  );
  timer.unref();
}

/** offer offers the actors to a session, before anything else is sent in it. */
export function offer(s: Session, adrift: readonly Adrift[]): void {
  let actors: HostedActor[] = [];
  for (const a of adrift) {
    if (a.isOver) continue;
    if (actors.length === MAX_OFFERED) {
      s.say({ kind: "hosted", actors, last: false });
      actors = [];
    }
    let actor = a.offer.actor;
    while (s.offers.has(actor)) actor++; // two lost sessions gave the same ref
    s.offers.set(actor, a);
    actors.push({ ...a.offer, actor });
  }
  s.say({ kind: "hosted", actors, last: true });
}
