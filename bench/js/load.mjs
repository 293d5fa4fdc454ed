// Calls under way from many connections at once, and what became of them: edge/bench/load for clients in JavaScript.
import { performance } from "node:perf_hooks";

/** How much is done before it counts, at most. */
const LONGEST_LEAD_MS = 500;
/** A caller gives up after so many failures. */
const MAX_FAULTS = 100;
/** Of more latencies than these a fair choice is kept. */
const MAX_SAMPLES = 1 << 20;

/** run keeps `each` calls of every caller under way for lengthMs. A caller is a function that makes a call and awaits its answer. */
export async function run(callers, each, lengthMs) {
  const from = performance.now() + Math.min(lengthMs / 4, LONGEST_LEAD_MS);
  const meter = new Meter(from, from + lengthMs);
  await Promise.all(callers.flatMap((call) => Array.from({ length: each }, () => repeat(call, meter))));
  return meter.result();
}

async function repeat(call, meter) {
  let faults = 0;
  for (let now = performance.now(); ; ) {
    const began = now;
    try {
      await call();
      now = performance.now();
      meter.done(now, now - began);
    } catch (error) {
      now = performance.now();
      faults++;
      meter.failed(error);
    }
    if (now >= meter.to || faults >= MAX_FAULTS) return;
  }
}

class Meter {
  samples = [];
  seen = 0;
  errors = 0;
  fault = "";

  constructor(from, to) {
    this.from = from;
    this.to = to;
  }

  /** A call counts if it ends within the window; the very first also if that is over. */
  done(now, tookMs) {
    if (now < this.from || (now >= this.to && this.seen > 0)) return;
    this.seen++;
    if (this.samples.length < MAX_SAMPLES) {
      this.samples.push(tookMs);
      return;
    }
    const at = Math.floor(Math.random() * this.seen);
    if (at < MAX_SAMPLES) this.samples[at] = tookMs;
  }

  failed(error) {
    this.errors++;
    this.fault ||= String(error);
  }

  /** Latencies are in nanoseconds, as Go has them. */
  result() {
    const sorted = Float64Array.from(this.samples).sort();
    const { seen: operations, errors, fault } = this;
    return { operations, seconds: (this.to - this.from) / 1000, p50: percentile(sorted, 50), p99: percentile(sorted, 99), errors, fault };
  }
}

/** percentile is the smallest sample that p of a hundred do not exceed. */
function percentile(sorted, p) {
  if (sorted.length === 0) return 0;
  return Math.round(sorted[Math.ceil((sorted.length * p) / 100) - 1] * 1e6);
}
