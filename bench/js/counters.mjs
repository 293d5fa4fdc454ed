// A load of calls on counters, one counter for each connection.
import { run } from "./load.mjs";
import { serveTasks } from "./task.mjs";

/**
 * serveCounters makes the load that the bench asks for. open(i, kind) gives (a promise of) the i-th connection of a kind, to
 * a counter of its own. A task names kind and action, the number of connections, and how many calls each has under way.
 */
export function serveCounters(open) {
  const opened = {};
  serveTasks(async ({ do: what, workers, each, length }) => {
    const [kind, action] = what.split(" ");
    const conns = (opened[kind] ??= []);
    while (conns.length < workers) conns.push(await open(conns.length, kind));
    return run(conns.slice(0, workers).map(deeds[action]), each, length / 1e6);
  });
}

/** The actions, and what is wrong with an answer: a counter that forgets is fast for the wrong reason. */
const deeds = {
  getCount(conn) {
    return async () => {
      const count = await conn.getCount();
      if (typeof count !== "number") throw new Error(`the count is ${count}`);
    };
  },
  increment(conn) {
    let last = 0;
    return async () => {
      const count = await conn.increment();
      if (!(count > last)) throw new Error(`the count is ${count} after ${last}`);
      last = count;
    };
  },
};
