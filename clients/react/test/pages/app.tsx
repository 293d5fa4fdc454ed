import { Suspense } from "react";
import type { RivetKit } from "@stagedoor/react";
import type { AnyRegistry } from "@stagedoor/client";

type Kit = RivetKit<AnyRegistry>;
type Actor = ReturnType<Kit["useActor"]>;

/** A component of the page: what it gives useActor, and the event that it listens to. */
export interface LabActor {
  readonly id: string;
  readonly options: Parameters<Kit["useActor"]>[0];
  readonly event?: string;
  /** Its handler writes this to lab.events. */
  readonly mark?: string;
}

export interface LabSpec {
  readonly strict?: boolean;
  readonly actors: readonly LabActor[];
}

export interface LabState {
  readonly kit: Kit;
  /** What handlers were called with. */
  readonly events: { readonly id: string; readonly mark: string | undefined; readonly args: unknown[] }[];
  /** What useActor last returned, by component. */
  readonly actors: Record<string, Actor>;
  /** Renders other components. */
  render(spec: LabSpec): void;
}

export function App({ spec, lab }: { spec: LabSpec; lab: LabState }) {
  return (
    <Suspense>
      {spec.actors.map((actor) => (
        <Component key={actor.id} {...actor} lab={lab} />
      ))}
    </Suspense>
  );
}

function Component({ id, options, event = "none", mark, lab }: LabActor & { lab: LabState }) {
  const actor = lab.kit.useActor(options);
  actor.useEvent(event, (...args: unknown[]) => lab.events.push({ id, mark, args }));
  lab.actors[id] = actor;
  const { error } = actor;
  return (
    <p id={id} data-status={actor.connStatus} data-transport={actor.transport} data-hash={actor.hash} data-error={error ? `${error.group}.${error.code}` : ""}>
      {actor.isConnected ? "connected" : "not connected"}
    </p>
  );
}
