import { Elysia } from "elysia";
import { actor, setup } from "rivetkit";
import { createClient } from "rivetkit/client";

const counter = actor({ state: { count: 0 }, actions: { increment: (c, amount: number) => c.state.count += amount } });

const registry = setup({ use: { counter } });

// Build client to communicate with actors (optional)
const client = createClient<typeof registry>();

const app = new Elysia()
  // Exposes Rivet API to communicate with actors
  .all("/api/rivet/*", (c) => registry.handler(c.request));

export default app;
