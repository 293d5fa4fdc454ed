/**
 * Fault says what is wrong with what the peer sent: `framing` with the bytes of a socket [FRAME-2], `malformed` with a frame or
 * message [FRAME-3]; `lost`: the two sides do not agree on what was sent [LINK-17].
 */
export type Fault = "framing" | "malformed" | "lost";

/** WireFault ends a runner's session. */
export class WireFault extends Error {
  readonly fault: Fault;

  constructor(fault: Fault, message: string) {
    super(message);
    this.name = "WireFault";
    this.fault = fault;
  }
}

export function malformed(message: string): WireFault {
  return new WireFault("malformed", message);
}
