import { createRivetKit } from "@stagedoor/react";
import type { registry } from "../registry.ts";

// The server that the page comes from says where the gateway is.
export const { useActor } = createRivetKit<typeof registry>(`${location.origin}/api/rivet`);
