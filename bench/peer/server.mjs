// The bench's counter on rivetkit, with the driver that it has by itself: actors in this process, their state in files.
//
//   node server.mjs DIRECTORY
import { createServer } from "node:net";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { actor, setup } from "rivetkit";
import { announce } from "../js/task.mjs";

const bench = actor({
  state: { count: 0 },
  options: { sleepTimeout: 3_600_000 },
  actions: {
    getCount: (c) => c.state.count,
    increment: (c) => ++c.state.count,
  },
});

/** freePort is one that nobody listens on: rivetkit takes no 0. */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** listening waits until something answers at a port. */
async function listening(port) {
  for (;;) {
    try {
      if ((await globalThis.fetch(`http://127.0.0.1:${port}/metadata`)).ok) return;
    } catch {
      // not yet
    }
    await setTimeout(10);
  }
}

const managerPort = await freePort();
setup({
  use: { bench },
  storagePath: process.argv[2],
  serveManager: true,
  managerHost: "127.0.0.1",
  managerPort,
  noWelcome: true,
  inspector: { enabled: false },
  logging: { level: "error" },
}).startRunner();
await listening(managerPort);
announce({ address: "127.0.0.1", port: managerPort });
