// The actors that the tests in the browser talk to.
import { actor, setup, UserError } from "stagedoor";

const room = actor({
  state: { log: [] as string[] },
  createConnState: (_c, params: { name?: string } | undefined) => {
    if (params?.name === undefined) throw new UserError("Say who you are.", { code: "nameless" });
    return { name: params.name };
  },
  onConnect: (c, conn) => {
    c.state.log.push(`+${conn.state.name}`);
  },
  onDisconnect: (c, conn) => {
    c.state.log.push(`-${conn.state.name}`);
  },
  actions: {
    /** Who came and went, in order. */
    log: (c) => c.state.log,
    say: (c, ...words: string[]) => c.broadcast("said", ...words),
    /** Says what may be lost. */
    hint: (c, ...words: string[]) => c.broadcastUnreliable("hinted", ...words),
    disconnectAll: async (c) => {
      for (const conn of c.conns.values()) await conn.disconnect("Closing time.");
    },
  },
});

const game = actor({
  createState: (_c, input: { mode: string }) => ({ mode: input.mode }),
  actions: { mode: (c) => c.state.mode },
});

export const registryOf = (endpoint: string) => setup({ use: { room, game }, endpoint });
