/** The requests of one interval of a replay, in the form that a planner sees of a cluster. */
import type { Tail, Traffic } from "../../../../actors/planner/pipeline/snapshot.ts";
import { type GoodputLimits, isGood } from "../../goodput.ts";
import type { RequestRecord } from "../simulate.ts";

type Sums = {
  started: number;
  ended: number;
  failed: number;
  prompt_tokens: number;
  cached_tokens: number;
  ended_prompt_tokens: number;
  output_tokens: number;
  accepted_tokens: number;
  good: number;
  readonly ttft_ms: number[];
  readonly itl_ms: number[];
  readonly duration_ms: number[];
  readonly queue_ms: number[];
  readonly uncached_tokens: number[];
};

const nothing = (): Sums => ({
  ...{ started: 0, ended: 0, failed: 0, good: 0 },
  ...{ prompt_tokens: 0, cached_tokens: 0, ended_prompt_tokens: 0, output_tokens: 0 },
  accepted_tokens: 0,
  ...{ ttft_ms: [], itl_ms: [], duration_ms: [], queue_ms: [], uncached_tokens: [] },
});

export class IntervalTraffic {
  #sums = nothing();
  /** Those in the router's queue, in the order they came. */
  readonly #queued = new Map<RequestRecord, number>();
  readonly #limits: GoodputLimits;

  /** @param limits of the SLA */
  constructor(limits: GoodputLimits) {
    this.#limits = limits;
  }

  arrived(record: RequestRecord): void {
    this.#sums.started++;
    this.#sums.prompt_tokens += record.input_length;
    this.#queued.set(record, record.arrival_ms);
  }

  routed(record: RequestRecord): void {
    this.#queued.delete(record);
    this.#sums.queue_ms.push(record.routed_ms - record.arrival_ms);
  }

  firstToken(record: RequestRecord): void {
    this.#sums.ttft_ms.push(record.first_token_ms - record.arrival_ms);
  }

  refused(record: RequestRecord): void {
    this.#queued.delete(record);
    this.#sums.failed++;
  }

  ended(record: RequestRecord): void {
    const sums = this.#sums;
    const { input_length, output_length, arrival_ms, first_token_ms, end_ms } = record;
    sums.ended++;
    sums.ended_prompt_tokens += input_length;
    sums.cached_tokens += record.cached_tokens;
    sums.uncached_tokens.push(input_length - record.cached_tokens);
    sums.output_tokens += output_length;
    sums.accepted_tokens += record.accepted_tokens;
    sums.duration_ms.push(end_ms - arrival_ms);
    if (output_length > 1) sums.itl_ms.push((end_ms - first_token_ms) / (output_length - 1));
    const times = { ttft_ms: first_token_ms - arrival_ms, e2e_ms: end_ms - arrival_ms };
    if (isGood({ ...times, tokens: output_length }, this.#limits)) sums.good++;
  }

  /** Since the last call. */
  take(now_ms: number): Traffic {
    const sums = this.#sums;
    this.#sums = nothing();
    const [oldest_ms] = this.#queued.values();
    const { started, ended, failed } = sums;
    const share = (part: number, of: number) => (of === 0 ? undefined : part / of);
    return {
      ...{ started, ended, failed },
      isl: share(sums.prompt_tokens, started),
      osl: share(sums.output_tokens, ended),
      ttft_ms: tailOf(sums.ttft_ms),
      itl_ms: tailOf(sums.itl_ms),
      duration_ms: tailOf(sums.duration_ms),
      queue_ms: tailOf(sums.queue_ms),
      queued: this.#queued.size,
      oldest_queued_ms: oldest_ms === undefined ? undefined : now_ms - oldest_ms,
      kv_hit_rate: share(sums.cached_tokens, sums.ended_prompt_tokens),
      uncached_tokens: tailOf(sums.uncached_tokens),
      accept_length: share(sums.output_tokens, sums.output_tokens - sums.accepted_tokens),
      attainment: share(sums.good, ended),
    };
  }
}

/** Sorts the samples; nearest rank. */
function tailOf(samples: number[]): Tail | undefined {
  if (samples.length === 0) return undefined;
  samples.sort((a, b) => a - b);
  let sum = 0;
  for (const sample of samples) sum += sample;
  const at = (q: number) => samples[Math.min(samples.length - 1, Math.floor(q * samples.length))];
  const [p50 = 0, p95 = 0, p99 = 0] = [at(0.5), at(0.95), at(0.99)];
  return { mean: sum / samples.length, p50, p95, p99 };
}
