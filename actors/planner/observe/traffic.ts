/** Requests of one model in an interval, over all frontends and routers. Pure. */
import type { ModelFigures } from "../../../proto/index.ts";
import { rise } from "../../inspector/inspector.ts";
import type { Traffic } from "../pipeline/snapshot.ts";
import {
  addSpread,
  type Interval,
  type Spread,
  shareWithin,
  spreadRise,
  summedRise,
  tailOf,
} from "./intervals.ts";

export type Sla = { readonly ttft_ms: number; readonly itl_ms: number };

const spreads = ["first_token_s", "between_tokens_s", "duration_s", "queue_wait_s"] as const;
const sums = ["input_tokens", "output_tokens", "cached_tokens"] as const;

/** Undefined: no frontend answered, so nobody knows whether there were requests. */
export function trafficOf(
  model: string,
  intervals: readonly Interval[],
  sla: Sla,
): Traffic | undefined {
  if (!intervals.some(({ now }) => now.role === "frontend")) return undefined;
  let [started, ended, failed, queued, oldest_ms, unaware] = [0, 0, 0, 0, 0, 0];
  const spread: Partial<Record<(typeof spreads)[number], Spread>> = {};
  const total = {
    input_tokens: { count: 0, sum: 0 },
    output_tokens: { count: 0, sum: 0 },
    cached_tokens: { count: 0, sum: 0 },
  };
  for (const { now, before } of intervals) {
    const row = now.models.find((each) => each.model === model);
    if (row === undefined) {
      // One that knows the model counts its requests from the first on, also when there are none.
      if (now.role === "frontend") unaware++;
      continue;
    }
    const past: Partial<ModelFigures> = before.models.find((each) => each.model === model) ?? {};
    started += rise(past.started_total, row.started_total);
    ended += rise(past.requests_total, row.requests_total);
    failed += rise(past.failed_total, row.failed_total);
    queued += row.queued;
    oldest_ms = Math.max(oldest_ms, row.oldest_queued_ms);
    for (const field of spreads) {
      const sum = addSpread(spread[field], spreadRise(past[field], row[field]));
      if (sum !== undefined) spread[field] = sum;
    }
    for (const field of sums) {
      const { count, sum } = summedRise(past[field], row[field]);
      total[field].count += count;
      total[field].sum += sum;
    }
  }
  const { input_tokens, output_tokens, cached_tokens } = total;
  const answers = input_tokens.count;
  return {
    ...{ started, ended, failed, queued },
    ...(unaware === 0 ? {} : { unaware }),
    isl: answers > 0 ? input_tokens.sum / answers : undefined,
    osl: answers > 0 ? output_tokens.sum / answers : undefined,
    ttft_ms: tailOf(spread.first_token_s),
    itl_ms: tailOf(spread.between_tokens_s),
    duration_ms: tailOf(spread.duration_s),
    queue_ms: tailOf(spread.queue_wait_s),
    oldest_queued_ms: queued > 0 ? oldest_ms : undefined,
    kv_hit_rate: input_tokens.sum > 0 ? cached_tokens.sum / input_tokens.sum : undefined,
    accept_length: acceptLength(model, intervals),
    attainment: attainmentBy(spread, sla),
  };
}

/** Every step of an answer makes one token and those that were guessed rightly. */
function acceptLength(model: string, intervals: readonly Interval[]): number | undefined {
  let [generated, accepted] = [0, 0];
  for (const { now, before } of intervals) {
    for (const row of now.workers) {
      if (row.model !== model || row.accepted_tokens_total === undefined) continue;
      const past = before.workers.find(({ worker }) => worker === row.worker);
      generated += rise(past?.generated_tokens_total, row.generated_tokens_total);
      accepted += rise(past?.accepted_tokens_total, row.accepted_tokens_total);
    }
  }
  return generated > accepted ? generated / (generated - accepted) : undefined;
}

/**
 * No frontend compares single answers with these limits: the smaller of the two shares, as far as
 * buckets tell.
 */
function attainmentBy(
  { first_token_s, between_tokens_s }: { first_token_s?: Spread; between_tokens_s?: Spread },
  { ttft_ms, itl_ms }: Sla,
): number | undefined {
  const first = shareWithin(first_token_s, ttft_ms / 1_000);
  const between = shareWithin(between_tokens_s, itl_ms / 1_000);
  if (first === undefined) return between;
  return Math.min(first, between ?? 1);
}
