// Frames of more than 64 KiB travel as Parts of their actor [LINK-3] [LIMIT-5].
import { malformed, WireFault } from "./fault.ts";
import { MAX_STEP } from "./frame.ts";
import type { Part } from "./messages.ts";

/** Assembler puts the Parts of all actors together. All frames under way hold at most a limit together. */
export class Assembler {
  private readonly open = new Map<number, { parts: Uint8Array[]; size: number }>();
  private held = 0;

  /** isOpen tells whether a frame of the actor has begun and not ended: no other frame of it may come now. */
  isOpen(actor: number): boolean {
    return this.open.size > 0 && this.open.has(actor);
  }

  /** add takes the next part; with the last one it gives the frame that they make, which must not be a Part itself. */
  add(p: Part, limit: number): Buffer | undefined {
    const { actor, data, last } = p;
    if (data.length > MAX_STEP) throw malformed(`a part of ${data.length} bytes, at most ${MAX_STEP} are allowed`);
    let frame = this.open.get(actor);
    if (frame === undefined) this.open.set(actor, (frame = { parts: [], size: 0 }));
    if (data.length > limit - this.held) throw new WireFault("framing", `parts of more than ${limit} bytes`);
    this.held += data.length;
    frame.size += data.length;
    // A copy, since what was read around it would stay too.
    frame.parts.push(last ? data : data.slice());
    if (!last) return undefined;
    this.open.delete(actor);
    this.held -= frame.size;
    if (frame.size === 0) throw malformed("parts of nothing");
    return Buffer.concat(frame.parts, frame.size);
  }
}
