import { actor, setup } from "rivetkit";
import { createClient } from "rivetkit/client";

const counter = actor({ state: { count: 0 }, actions: { increment: (c, amount: number) => c.state.count += amount } });

const registry = setup({ use: { counter } });
const client = createClient<typeof registry>();
const counterHandle = client.counter.getOrCreate(["my-counter"]);
await counterHandle.increment(1);
