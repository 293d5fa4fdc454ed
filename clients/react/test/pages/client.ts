// A page with a client, for what is about transports.
import { createClient } from "@stagedoor/client";

declare global {
  var createStagedoorClient: typeof createClient;
}

globalThis.createStagedoorClient = createClient;
