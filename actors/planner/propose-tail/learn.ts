/** What an interval's figures teach of the load, of the engines and of the spread of requests. */

import type { PlannerConfig } from "../pipeline/config.ts";
import { mergedPasses } from "../pipeline/gather.ts";
import { rolesOf } from "../pipeline/roles.ts";
import type { PassFigures, PlanRole, PlanSnapshot, Traffic } from "../pipeline/snapshot.ts";
import { withArrivals } from "./demand.ts";
import { logOf, sigmaOf, spreadOut } from "./log-normal.ts";
import {
  costsOf,
  decodeLoadMs,
  noEvidence,
  prefillMs,
  promptMs,
  withPasses,
} from "./pass-costs.ts";
import {
  keptAfter,
  type Mean,
  noPasses,
  type RoleMemory,
  type SpreadMemory,
  type TailMemory,
  withValue,
} from "./tail-memory.ts";
import { CALM_LOAD, ENDLESS, expected, loadOf, type Spreads, type Work, waits } from "./work.ts";

/** Load, passes and means; the spreads need the work that follows from these. */
export function learned(
  memory: TailMemory,
  snapshot: PlanSnapshot,
  config: PlannerConfig,
): TailMemory {
  const { traffic, interval_ms, at_ms } = snapshot;
  const keep = keptAfter(interval_ms, traffic?.started ?? 0);
  const roles: Partial<Record<PlanRole, RoleMemory>> = {};
  for (const role of rolesOf(config)) {
    const passes = snapshot.workers
      .filter((worker) => worker.role === role && worker.reports)
      .map((worker) => worker.passes);
    roles[role] = withRole(memory.roles[role], passes, keep);
  }
  if (traffic === undefined) return { ...memory, roles };
  const arrivals = withArrivals(memory.arrivals, { at_ms, started: traffic.started, interval_ms });
  const { started, ended, uncached_tokens: uncached } = traffic;
  return {
    ...memory,
    ...{ roles, arrivals },
    spreads: {
      ...memory.spreads,
      tokens_log: withValue(
        memory.spreads.tokens_log,
        uncached && logOf(uncached.p50),
        ended,
        keep,
      ),
      tokens_sigma: withValue(
        memory.spreads.tokens_sigma,
        uncached && sigmaOf(uncached, ended),
        ended,
        keep,
      ),
    },
    uncached: withValue(memory.uncached, uncachedOf(traffic, snapshot), started, keep),
    prompt: withValue(memory.prompt, traffic.isl, started, keep),
    answer: withValue(memory.answer, traffic.osl, ended, keep),
  };
}

function withRole(
  memory: RoleMemory | undefined,
  passes: readonly (PassFigures | undefined)[],
  keep: number,
): RoleMemory {
  let sum: PassFigures | undefined;
  for (const each of passes) sum = mergedPasses(sum, each);
  const before = memory?.passes ?? noPasses;
  return {
    evidence: withPasses(memory?.evidence ?? noEvidence, passes),
    passes: sum === undefined ? before : fading(before, sum, keep),
  };
}

function fading(before: PassFigures, now: PassFigures, keep: number): PassFigures {
  const faded = Object.fromEntries(
    Object.entries(before).map(([field, value]) => [field, keep * value]),
  );
  return mergedPasses(faded as PassFigures, now) ?? now;
}

function uncachedOf({ isl, kv_hit_rate }: Traffic, { workers }: PlanSnapshot) {
  if (isl === undefined) return undefined;
  if (kv_hit_rate !== undefined) return isl * (1 - kv_hit_rate);
  let [cached, computed] = [0, 0];
  for (const { passes, cached_tokens } of workers) {
    cached += cached_tokens;
    computed += passes?.prefill_tokens ?? 0;
  }
  return cached + computed > 0 ? (isl * computed) / (cached + computed) : isl;
}

/** An answer's tokens before one has ended: those that were drawn, and this many at least. */
const ANSWER_MIN = 64;

/** Undefined: no pass of this role has been seen. */
export function workOf(
  memory: TailMemory,
  role: PlanRole,
  requests_per_s: number,
  max_batch_tokens: number,
): Work | undefined {
  const own = memory.roles[role];
  const costs = own && costsOf(own.evidence);
  if (own === undefined || costs === undefined) return undefined;
  const { passes } = own;
  const prompts = memory.uncached.value * promptShare(memory, role);
  const token_ms = passes.prefill_tokens > 0 ? prefillMs(costs, passes) / passes.prefill_tokens : 0;
  const pass_tokens = passes.prefill_tokens / Math.max(1e-9, passes.prefill_passes);
  const answer = memory.answer.weight > 0 ? memory.answer.value : ANSWER_MIN;
  const drawn = passes.decode_tokens;
  const draws = role !== "prefill" && drawn > 0;
  return {
    requests_per_s,
    token: token_ms,
    promptMs: (tokens) => promptMs(costs, tokens, max_batch_tokens),
    prefill: prompts * token_ms,
    prefill_passes: pass_tokens > 0 ? prompts / pass_tokens : 0,
    decode: draws ? (answer * decodeLoadMs(costs, passes)) / drawn : 0,
    decode_pass: draws ? costs.decode_pass * memory.spreads.itl_scale.value : 0,
  };
}

/** Of the prompt tokens that are computed, those that this role computes. */
function promptShare(memory: TailMemory, role: PlanRole): number {
  let all = 0;
  for (const each of Object.values(memory.roles)) all += each.passes.prefill_tokens;
  if (all > 0) return (memory.roles[role]?.passes.prefill_tokens ?? 0) / all;
  return role === "decode" ? 0 : 1;
}

/** What the logarithms of requests' own times are spread by, before anything is measured. */
const SIGMA = 0.8;

/**
 * The spreads as they are used: by the tokens that prompts have if somebody says these, else by the
 * times that were measured, else by what the mean makes likely.
 */
export function spreadsOf(memory: TailMemory, work: Work): Spreads {
  const { tokens_log, tokens_sigma, ttft_log, ttft_sigma } = memory.spreads;
  const itl_sigma = memory.spreads.itl_sigma.value;
  if (tokens_log.weight > 0) {
    const tokens = spreadOut(tokens_log.value, tokens_sigma.value);
    return { own: tokens.map(work.promptMs), itl_sigma };
  }
  if (ttft_log.weight > 0) {
    return { own: spreadOut(ttft_log.value, ttft_sigma.value), itl_sigma };
  }
  return { own: spreadOut(logOf(work.prefill) - (SIGMA * SIGMA) / 2, SIGMA), itl_sigma };
}

/** Who makes first tokens and who makes the others, which may be the same. */
type Sides = { readonly first: Carried | undefined; readonly answers: Carried | undefined };

export type Carried = { readonly work: Work; readonly workers: number };

/**
 * What the tails of an interval teach, with the work of the workers that carried it. Workers that
 * have more to do than they can show what too much work does, and not what requests are: nothing
 * is learned until they have caught up.
 *
 * @param behind work waits that is more than chance makes
 */
export function withTails(
  memory: TailMemory,
  snapshot: PlanSnapshot,
  config: PlannerConfig,
  carried: Sides,
  behind: boolean,
): TailMemory {
  const { traffic, interval_ms, at_ms } = snapshot;
  const { first, answers } = carried;
  if (traffic === undefined || first === undefined || answers === undefined) return memory;
  const since_ms = at_ms - (memory.overloaded_ms ?? Number.NEGATIVE_INFINITY);
  const catches_up = behind && since_ms < 1.5 * interval_ms;
  if (isOverloaded(first) || isOverloaded(answers) || catches_up) {
    return { ...memory, overloaded_ms: at_ms };
  }
  // What ends now may have come while there was too much to do.
  if (since_ms < interval_ms + (traffic.duration_ms?.p99 ?? 0)) return memory;
  const keep = keptAfter(interval_ms, traffic.started);
  let { itl_sigma, itl_scale } = memory.spreads;
  const { itl_ms, ended } = traffic;
  const firsts = firstTokens(memory, traffic, first, keep);
  if (itl_ms !== undefined && itl_ms.p50 > 0) {
    itl_sigma = withValue(itl_sigma, sigmaOf(itl_ms, ended), ended, keep);
    const plain =
      answers.work.decode_pass / itl_scale.value / (1 - loadOf(answers.work, answers.workers));
    const scale = plain > 0 ? Math.min(2, Math.max(0.5, itl_ms.p50 / plain)) : undefined;
    itl_scale = withValue(itl_scale, scale, ended, keep);
  }
  const spreads = { ...memory.spreads, ...firsts, itl_sigma, itl_scale };
  return { ...memory, spreads, lost: lostAfter(memory, traffic, config, { first, answers }) };
}

function isOverloaded({ work, workers }: Carried): boolean {
  return loadOf(work, workers) >= CALM_LOAD;
}

/** Where nobody says what prompts have: measured first tokens, less what load adds to them. */
function firstTokens(
  memory: TailMemory,
  { ttft_ms, started }: Traffic,
  { work, workers }: Carried,
  keep: number,
): Partial<SpreadMemory> {
  const { tokens_log, ttft_log, ttft_sigma } = memory.spreads;
  if (ttft_ms === undefined || tokens_log.weight > 0) return {};
  const { carried_ms, behind, queue_ms } = waits(work, workers, spreadsOf(memory, work).own);
  const less = (ms: number, wait_ms: number) => Math.max(0.2 * ms, ms - wait_ms);
  const p50 = less(ttft_ms.p50, carried_ms);
  const p95 = less(ttft_ms.p95, carried_ms + behind * queue_ms);
  return {
    ttft_log: withValue(ttft_log, logOf(p50), started, keep),
    ttft_sigma: withValue(ttft_sigma, sigmaOf({ p50, p95 }, started), started, keep),
  };
}

/** Half of what is known of the model's error is forgotten after so many requests. */
const LOST_HALF = 2_000;
/** Requests that were lost as expected, before any is counted. */
const LOST_PRIOR = 15;

function lostAfter(
  memory: TailMemory,
  { attainment, ended }: Traffic,
  config: PlannerConfig,
  { first, answers }: { readonly first: Carried; readonly answers: Carried },
): TailMemory["lost"] {
  if (attainment === undefined) return memory.lost;
  const share = (side: Carried, workers: number) =>
    expected(side.work, workers, spreadsOf(memory, side.work), config);
  const best = share(first, ENDLESS).ttft_share * share(answers, ENDLESS).itl_share;
  const thought =
    share(first, first.workers).ttft_share * share(answers, answers.workers).itl_share;
  const keep = 0.5 ** (ended / LOST_HALF);
  const { measured, expected: guessed } = memory.lost;
  return {
    measured: withValue(measured, best - attainment, ended, keep),
    expected: withValue(guessed, best - thought, ended, keep),
  };
}

/** The model is off by this factor at most. */
const LOST_SCALE = { least: 0.5, most: 10 } as const;

/** What load makes late, measured over expected. */
export function lostScaleOf({ lost }: TailMemory): number {
  const counted = ({ value, weight }: Mean) => LOST_PRIOR + value * weight;
  const scale = counted(lost.measured) / counted(lost.expected);
  return Math.min(LOST_SCALE.most, Math.max(LOST_SCALE.least, scale));
}
