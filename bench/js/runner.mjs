// The bench's actors on the runner of this repository, as edge/bench/actors.go has them on that of Go.
//
//   node runner.mjs ENDPOINT
import process from "node:process";
import { actor, setup } from "stagedoor";

const bench = actor({
  state: { count: 0 },
  // They do not fall asleep while they are measured, but have the timer for it, as any actor has.
  options: { durability: "disk", sleepTimeout: 3_600_000 },
  actions: {
    echo: (_c, bytes) => bytes,
    getCount: (c) => c.state.count,
    increment: (c) => ++c.state.count,
  },
});

const registry = setup({ use: { bench }, endpoint: process.argv[2], logLevel: "warn", drainTimeoutMs: 1000 });
registry.startRunner();
