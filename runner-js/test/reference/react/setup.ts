import { createRivetKit } from "@rivetkit/react";
import type { registry } from "./counter-registry";

const { useActor } = createRivetKit<typeof registry>();
