/**
 * What our own proposal remembers of a load and of who carries it: plain data, slowly forgotten.
 */
import type { PassFigures, PlanRole } from "../pipeline/snapshot.ts";
import type { Arrivals } from "./demand.ts";
import type { CostEvidence } from "./pass-costs.ts";

export type TailMemory = {
  readonly arrivals: Arrivals;
  /** Tokens of a prompt, those of them that no cache has, and tokens of an answer. */
  readonly prompt: Mean;
  readonly uncached: Mean;
  readonly answer: Mean;
  /** Workers of different roles may be of different engines. */
  readonly roles: Readonly<Partial<Record<PlanRole, RoleMemory>>>;
  readonly spreads: SpreadMemory;
  /** When workers were last given more than they can do, or had not caught up; undefined: never. */
  readonly overloaded_ms?: number;
  /** Of the requests that could be within the limits, the share that load kept from it. */
  readonly lost: { readonly measured: Mean; readonly expected: Mean };
};

export type RoleMemory = {
  readonly evidence: CostEvidence;
  /** Of all its workers, fading. */
  readonly passes: PassFigures;
};

/** Of requests by themselves, without what load adds. */
export type SpreadMemory = {
  /**
   * Prompt tokens that no cache has: the logarithm of the median, and the spread of the logarithms.
   * Both are averaged as they are, as means over a few requests each are off otherwise.
   */
  readonly tokens_log: Mean;
  readonly tokens_sigma: Mean;
  /** Where nobody says these: first tokens, in ms. */
  readonly ttft_log: Mean;
  readonly ttft_sigma: Mean;
  readonly itl_sigma: Mean;
  /** Measured time between tokens over the expected one. */
  readonly itl_scale: Mean;
};

/** With the weight of what it was made of, in requests, fading. */
export type Mean = { readonly value: number; readonly weight: number };

/** What is thought before anything is measured counts as so many requests. */
const PRIOR_WEIGHT = 20;
const prior = (value: number): Mean => ({ value, weight: PRIOR_WEIGHT });
const nothing: Mean = { value: 0, weight: 0 };

export const tailStart: TailMemory = {
  arrivals: [],
  prompt: nothing,
  uncached: nothing,
  answer: nothing,
  roles: {},
  spreads: {
    tokens_log: nothing,
    tokens_sigma: nothing,
    ttft_log: nothing,
    ttft_sigma: nothing,
    itl_sigma: prior(0.3),
    itl_scale: prior(1),
  },
  lost: { measured: nothing, expected: nothing },
};

export const noPasses: PassFigures = {
  interval_ms: 0,
  prefill_passes: 0,
  prefill_tokens: 0,
  prefill_tokens_squared: 0,
  decode_passes: 0,
  decode_tokens: 0,
  decode_share: 0,
  busy_ms: 0,
};

/** What remains of earlier values after so long, in which so many requests came. */
export function keptAfter(interval_ms: number, requests: number): number {
  const halves = Math.min(interval_ms / HALF_LIFE_MS, requests / HALF_LIFE_REQUESTS);
  return 0.5 ** Math.max(0, halves);
}

/** Half is forgotten after so long, but not before so many requests have taught something new. */
const HALF_LIFE_MS = 60_000;
const HALF_LIFE_REQUESTS = 300;

export function withValue(
  mean: Mean,
  value: number | undefined,
  weight: number,
  keep: number,
): Mean {
  if (value === undefined || !Number.isFinite(value) || weight <= 0) return mean;
  const before = keep * mean.weight;
  const all = before + weight;
  return { value: (before * mean.value + weight * value) / all, weight: all };
}
