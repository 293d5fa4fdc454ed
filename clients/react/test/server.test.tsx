import { createRivetKitWithClient } from "@stagedoor/react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import { App } from "./pages/app.tsx";
import { standIn } from "./stand-in.ts";

test("rendering on a server uses no client and shows an actor that is not connected", () => {
  const { client, asked } = standIn();
  const lab = { kit: createRivetKitWithClient(client), events: [], actors: {}, render() {} };
  const html = renderToString(<App spec={{ actors: [{ id: "a", options: { name: "room", key: "lobby" } }] }} lab={lab} />);
  expect(html).toMatch(/<p id="a" data-status="idle" data-hash="[0-9a-f]{14}" data-error="">not connected<\/p>/);
  expect(lab.actors).toMatchObject({ a: { connection: null, handle: null, isConnected: false, error: null } });
  expect(asked).toEqual([]);
});
