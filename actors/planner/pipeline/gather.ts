/** Snapshots of several ticks as one, for whoever decides by a longer interval. */
import type { PassFigures, PlanSnapshot, Tail, Traffic, WorkerView } from "./snapshot.ts";

/** The later snapshot, with all that was counted since the earlier one began. */
export function mergedSnapshots(
  earlier: PlanSnapshot | undefined,
  later: PlanSnapshot,
): PlanSnapshot {
  if (earlier === undefined) return later;
  const before = new Map(earlier.workers.map((worker) => [worker.worker, worker]));
  return {
    ...later,
    interval_ms: earlier.interval_ms + later.interval_ms,
    traffic: mergedTraffic(earlier.traffic, later.traffic),
    workers: later.workers.map((worker) => mergedWorker(before.get(worker.worker), worker)),
  };
}

/**
 * Counts are summed. Shares and tails are weighted by the requests they are of, so a tail is that
 * of the intervals on average and not of all their requests. Figures that are missing once do not
 * make the others missing.
 */
export function mergedTraffic(
  earlier: Traffic | undefined,
  later: Traffic | undefined,
): Traffic | undefined {
  if (earlier === undefined || later === undefined) return later ?? earlier;
  const by = (field: "started" | "ended") => ({ a: earlier[field], b: later[field] });
  const [started, ended] = [by("started"), by("ended")];
  return {
    started: started.a + started.b,
    ended: ended.a + ended.b,
    failed: earlier.failed + later.failed,
    isl: mean(earlier.isl, later.isl, started),
    osl: mean(earlier.osl, later.osl, ended),
    ttft_ms: meanTail(earlier.ttft_ms, later.ttft_ms, started),
    itl_ms: meanTail(earlier.itl_ms, later.itl_ms, ended),
    duration_ms: meanTail(earlier.duration_ms, later.duration_ms, ended),
    queue_ms: meanTail(earlier.queue_ms, later.queue_ms, started),
    queued: later.queued,
    ...(later.unaware === undefined ? {} : { unaware: later.unaware }),
    oldest_queued_ms: later.oldest_queued_ms,
    kv_hit_rate: mean(earlier.kv_hit_rate, later.kv_hit_rate, started),
    uncached_tokens: meanTail(earlier.uncached_tokens, later.uncached_tokens, ended),
    accept_length: mean(earlier.accept_length, later.accept_length, ended),
    attainment: mean(earlier.attainment, later.attainment, ended),
  };
}

type Weights = { readonly a: number; readonly b: number };

function mean(a: number | undefined, b: number | undefined, weights: Weights): number | undefined {
  if (a === undefined || b === undefined) return b ?? a;
  const sum = weights.a + weights.b;
  return sum > 0 ? (a * weights.a + b * weights.b) / sum : b;
}

function meanTail(a: Tail | undefined, b: Tail | undefined, weights: Weights): Tail | undefined {
  if (a === undefined || b === undefined) return b ?? a;
  const of = (field: keyof Tail) => mean(a[field], b[field], weights) ?? b[field];
  return { mean: of("mean"), p50: of("p50"), p95: of("p95"), p99: of("p99") };
}

function mergedWorker(before: WorkerView | undefined, worker: WorkerView): WorkerView {
  if (before === undefined) return worker;
  return {
    ...worker,
    passes: mergedPasses(before.passes, worker.passes),
    cached_tokens: before.cached_tokens + worker.cached_tokens,
  };
}

export function mergedPasses(
  a: PassFigures | undefined,
  b: PassFigures | undefined,
): PassFigures | undefined {
  if (a === undefined || b === undefined) return b ?? a;
  return {
    interval_ms: a.interval_ms + b.interval_ms,
    prefill_passes: a.prefill_passes + b.prefill_passes,
    prefill_tokens: a.prefill_tokens + b.prefill_tokens,
    prefill_tokens_squared: a.prefill_tokens_squared + b.prefill_tokens_squared,
    decode_passes: a.decode_passes + b.decode_passes,
    decode_tokens: a.decode_tokens + b.decode_tokens,
    decode_share: a.decode_share + b.decode_share,
    busy_ms: a.busy_ms + b.busy_ms,
  };
}
