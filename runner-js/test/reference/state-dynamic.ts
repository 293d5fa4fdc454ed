import { actor } from "rivetkit";

interface CounterState { count: number; }

// The document gives state and createState, which contradict each other (semantics.md 0.2); state is left out.
const counter = actor({
  createState: (c, input: { start?: number }): CounterState => ({
    count: input.start ?? 0,
  }),
  actions: {
    increment: (c) => c.state.count += 1,
  },
});
