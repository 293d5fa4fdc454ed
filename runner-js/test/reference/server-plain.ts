import { actor, setup } from "rivetkit";

const counter = actor({ state: { count: 0 }, actions: { increment: (c, amount: number) => c.state.count += amount } });

const registry = setup({ use: { counter } });

// Exposes Rivet API on /api/rivet/ to communicate with actors
export default registry.serve();
