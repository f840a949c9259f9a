/** One plan tried on a trace: a replay, and how far it is from what is asked for. */
import { type GoodputLimits, itlOf } from "../goodput.ts";
import { workerHours } from "../replay/plan/fleet.ts";
import { isWithin } from "../replay/plan/plan-figures.ts";
import { firstArrivalMs } from "../replay/report.ts";
import type { TraceSource } from "../replay/set-up/trace-source.ts";
import type { Deployment, World } from "../replay/set-up/world.ts";
import { type RequestRecord, simulate } from "../replay/simulate.ts";
import { quantile, rounded } from "../statistics.ts";

export type Question = {
  readonly deployment: Deployment;
  readonly sla: GoodputLimits;
  /**
   * Of all requests, the share that may be outside the limits before the trial is stopped; 1: it
   * goes on to the end.
   */
  readonly outside_most: number;
};

/** Shares are of all requests of the trace. */
export type Trial = {
  readonly deployment: Deployment;
  /** Within both limits; undefined: the trial was stopped. */
  readonly share: number | undefined;
  /** Requests that were over when it ended: 1, or less when it was stopped. */
  readonly progress: number;
  /** Outside by the limit that they were outside of first. */
  readonly late_first: number;
  readonly slow_tokens: number;
  readonly refused: number;
  /** Of those that have ended; NaN: none has. */
  readonly ttft_p95_ms: number;
  readonly itl_p95_ms: number;
  readonly worker_hours: number;
};

export function tried(world: World, source: TraceSource, question: Question): Trial {
  const { deployment, sla, outside_most } = question;
  const { trace } = source;
  const most = Math.floor(outside_most * trace.length);
  const stop = outside_most >= 1 ? {} : { stop: { sla, most } };
  const settings = { ...world.settings(deployment), ...stop };
  const { records, lives, end_ms, stopped } = simulate(trace, settings, world.router(deployment));
  const ended = records.filter((record) => !Number.isNaN(record.end_ms));
  const refused = records.filter((record) => record.refused !== undefined).length;
  const share = (count: number) => rounded(count / records.length, 4);
  const late = records.filter((record) => ttftOf(record) > (sla.ttft_ms ?? Infinity)).length;
  const good = ended.filter((record) => isWithin(record, sla)).length;
  const in_time = ended.filter((record) => ttftOf(record) <= (sla.ttft_ms ?? Infinity)).length;
  const longer = ended.filter(({ output_length }) => output_length > 1);
  const start_ms = firstArrivalMs(records, end_ms);
  return {
    deployment,
    share: stopped ? undefined : share(good),
    progress: rounded((ended.length + refused) / records.length, 4),
    late_first: share(late),
    slow_tokens: share(in_time - good),
    refused: share(refused),
    ttft_p95_ms: rounded(quantile(ended.map(ttftOf), 0.95), 1),
    itl_p95_ms: rounded(quantile(longer.map(itlMs), 0.95), 1),
    worker_hours: rounded(workerHours(lives, start_ms, end_ms), 4),
  };
}

const ttftOf = ({ arrival_ms, first_token_ms }: RequestRecord) => first_token_ms - arrival_ms;

function itlMs({ arrival_ms, first_token_ms, end_ms, output_length }: RequestRecord): number {
  const e2e_ms = end_ms - arrival_ms;
  return itlOf({ ttft_ms: first_token_ms - arrival_ms, e2e_ms, tokens: output_length });
}

/** Of two plans that do not hold, the one that is nearer to it has the higher score. */
export const scoreOf = ({ share, progress }: Trial): number =>
  share === undefined ? progress : 1 + share;

/** Which limit it was that requests were outside of. */
export function faultOf({ late_first, slow_tokens, refused }: Trial): "ttft" | "itl" | "refused" {
  if (refused > late_first && refused > slow_tokens) return "refused";
  return slow_tokens > late_first ? "itl" : "ttft";
}
