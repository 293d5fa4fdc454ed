import { ActorError } from "../error.ts";
import type { Goodbye, Reject } from "../wire/messages.ts";

/** Farewell is a Goodbye or Reject of the gateway. */
export interface Farewell {
  readonly cause: ActorError;
  /** There is no coming back [LINK-5]. */
  readonly final: boolean;
  readonly retryAfterMs: number;
}

export function farewellOf(m: Goodbye | Reject): Farewell {
  const [group = "", code = ""] = m.code.split(".", 2);
  const final = m.kind === "reject" ? !m.retryable : m.reconnect === "never";
  const cause = new ActorError({ group, code, message: m.message, retryable: !final, retryAfterMs: m.retryAfterMs });
  return { cause, final, retryAfterMs: m.retryAfterMs };
}
