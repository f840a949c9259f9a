/**
 * `bun run bench planner`: how long a planner takes to decide about 1,000 workers, with all stages of
 * our own proposal and of Dynamo's loops, and with the journal's bytes beside it. With `arima` and
 * `auto` many ticks look for a model: an interval of the predictor is only two ticks long.
 */
import { encodeRecord } from "../../../actors/planner/journal/record.ts";
import { plannerDefaults } from "../../../actors/planner/pipeline/config-defaults.ts";
import { plannerParts } from "../../../actors/planner/pipeline/parts.ts";
import type { PlanSnapshot, WorkerView } from "../../../actors/planner/pipeline/snapshot.ts";
import { initialState, tick } from "../../../actors/planner/pipeline/tick.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import type { Report } from "../bench.ts";
import { rounded } from "../statistics.ts";

const WORKERS = 1_000;
const TICKS = 600;
const PREDICTORS = ["kalman", "arima", "auto"] as const;
const INTERVAL_MS = 5_000;

export async function benchPlanner(report: Report): Promise<void> {
  const kinds = (["tail", "current"] as const).flatMap((sla_planner) =>
    PREDICTORS.map((load_predictor) => ({ sla_planner, load_predictor })),
  );
  for (const { sla_planner, load_predictor } of kinds) {
    const config = {
      ...plannerDefaults,
      ...({
        mode: "agg",
        optimization_target: "sla",
        sla_planner,
        load_predictor,
        throughput_adjustment_interval_seconds: (2 * INTERVAL_MS) / 1_000,
      } as const),
      ...{ enable_load_scaling: true, max_workers: 2 * WORKERS },
    };
    const parts = plannerParts(config);
    const random = new SeededRandom(1);
    let state = initialState("model", config);
    const [ticks_ms, journal_ms]: [number[], number[]] = [[], []];
    let bytes = 0;
    for (let i = 1; i <= TICKS; i++) {
      const seen = snapshotAt(i, random);
      const from_ms = performance.now();
      const next = tick(state, seen, config, parts);
      const until_ms = performance.now();
      bytes = encodeRecord({ state: next.state, decisions: [next.decision] }).byteLength;
      journal_ms.push(performance.now() - until_ms);
      ticks_ms.push(until_ms - from_ms);
      state = next.state;
    }
    report({
      ...{ case: "decision", sla_planner, load_predictor, workers: WORKERS },
      ...{ p50_ms: at(ticks_ms, 0.5), p99_ms: at(ticks_ms, 0.99) },
      max_ms: rounded(Math.max(...ticks_ms), 3),
      ...{ journal_p50_ms: at(journal_ms, 0.5), journal_bytes: bytes },
    });
  }
}

function at(samples: number[], share: number): number {
  samples.sort((a, b) => a - b);
  return rounded(samples[Math.floor(share * samples.length)] ?? Number.NaN, 3);
}

function snapshotAt(nth: number, random: SeededRandom): PlanSnapshot {
  const started = 12_000 + Math.round(2_000 * random.unit());
  const tail = { mean: 200, p50: 120, p95: 450, p99: 900 };
  return {
    ...{ model: "model", at_ms: INTERVAL_MS * nth, interval_ms: INTERVAL_MS },
    traffic: {
      ...{ started, ended: started, failed: 0, isl: 4_000, osl: 250, ttft_ms: tail },
      itl_ms: { mean: 20, p50: 18, p95: 35, p99: 60 },
      ...{ duration_ms: tail, queue_ms: tail, queued: Math.round(20 * random.unit()) },
      ...{ oldest_queued_ms: 40, kv_hit_rate: 0.4, accept_length: 1, attainment: 0.96 },
    },
    workers: Array.from({ length: WORKERS }, (_, i) => workerAt(i, random)),
    limits: {
      ...{ context_length: 32_768, max_batch_tokens: 8_192, max_kv_tokens: 1_000_000 },
      ...{ max_seqs: 256, block_size: 16 },
    },
  };
}

function workerAt(nth: number, random: SeededRandom): WorkerView {
  const tokens = Math.round(40_000 * random.unit());
  const draws = Math.round(2_500 * random.unit());
  return {
    ...{ worker: `worker-${nth}`, machine: `m-${nth % 125}`, role: "aggregated", state: "serving" },
    ...{ since_ms: 0, reports: true, running: 10, waiting: 0, queued_prefill_tokens: 500 },
    ...{ kv_used_tokens: 300_000, kv_total_tokens: 1_000_000, cached_tokens: tokens },
    passes: {
      ...{ interval_ms: INTERVAL_MS, prefill_passes: 12, prefill_tokens: tokens },
      prefill_tokens_squared: (tokens * tokens) / 12,
      ...{ decode_passes: 200, decode_tokens: draws, decode_share: 60 * random.unit() },
      busy_ms: 1_200 + 0.015 * tokens + 0.2 * draws,
    },
  };
}
