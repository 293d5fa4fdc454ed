import { ActorError } from "../error.ts";

/** The error of a gateway that does not take the runner's token, in the words of who has to set another one. */
export function refused(error: unknown, token: string, endpoint: string): unknown {
  if (!(error instanceof ActorError) || error.group !== "auth") return error;
  const { group, code, retryable, retryAfterMs } = error;
  const set = "set STAGEDOOR_TOKEN, or setup({ token }), to one of its runner tokens";
  const message = `The gateway at ${endpoint} ${why(code, token)}; ${set}. It said: ${error.message}`; // [LINK-5]
  return new ActorError({ group, code, retryable, retryAfterMs, message }, { cause: error });
}

function why(code: string, token: string): string {
  if (token === "") return "asks for a runner token, and none is set";
  return code === "forbidden" ? "says that the token is not one for runners" : "does not know the runner's token";
}

/** What the log has of an error: a line, if the gateway is why, and else also where it was thrown. */
export function toldOf(error: unknown): unknown {
  return error instanceof ActorError ? String(error) : error;
}
