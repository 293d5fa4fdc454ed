// A page whose components the test says: start({…}), then lab.render({…}). The gateway's address stands behind the #.
import { StrictMode, useState } from "react";
import { flushSync } from "react-dom";
import { createRoot, hydrateRoot } from "react-dom/client";
import { createRivetKit } from "@stagedoor/react";
import { App, type LabSpec, type LabState } from "./app.tsx";

const lab: LabState = {
  kit: createRivetKit(location.hash.slice(1)),
  events: [],
  actors: {},
  render: () => {},
};

function Root({ first }: { first: LabSpec }) {
  const [spec, setSpec] = useState(first);
  lab.render = (next) => flushSync(() => setSpec(next));
  const app = <App spec={spec} lab={lab} />;
  return first.strict ? <StrictMode>{app}</StrictMode> : app;
}

function start(first: LabSpec): void {
  const container = document.getElementById("root")!;
  const root = <Root first={first} />;
  if (container.hasChildNodes()) hydrateRoot(container, root);
  else createRoot(container).render(root);
}

Object.assign(window, { lab, start });
