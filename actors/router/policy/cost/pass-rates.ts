/**
 * The speed of workers, learned from their reports. No constant of a model or a machine is in the
 * code.
 *
 * The time of a scheduler pass is modelled as linear in five features. So the sums over any number
 * of passes obey the same equation, and a worker may report sums as rarely as it likes:
 *
 *   busy_ms = prefill_pass_ms × passes with prompt tokens   + token_ms  × prompt tokens computed
 *           + token_squared_ms × Σ (prompt tokens of a pass)² + decode_pass_ms × passes with
 * decodes
 *           + decode_full_ms × Σ (share of the blocks in use in such a pass)
 *
 * Least squares with forgetting; a rate that comes out negative is left out and the rest is solved
 * again. Before the first reports the rates are `undefined` and costs are plain token counts.
 *
 * A worker's own reports are weighed against its pool's (`prior`). The first few reports of a new
 * worker hardly tell a prompt's cost from a step's, and a worker that wrongly counts as slow gets
 * no requests that would correct this. So the pool's rates are used until the worker has reported
 * enough, and again when it has been idle for long.
 */

import { costsOfFeatures } from "../../../../llm/profile/pass-costs.ts";

/** Sums since the worker's last report, or since its start. */
export type PassSums = {
  readonly prefill_passes: number;
  /** Prompt tokens that were computed, so without cached ones. */
  readonly prefill_tokens: number;
  readonly prefill_tokens_squared: number;
  readonly decode_passes: number;
  readonly decode_share: number;
  readonly busy_ms: number;
};

export type PassRates = {
  readonly prefill_pass_ms: number;
  readonly token_ms: number;
  readonly token_squared_ms: number;
  readonly decode_pass_ms: number;
  /** Additional time of a step when all blocks are in use. */
  readonly decode_full_ms: number;
};

/** The part of the time in `sums` that prompts took. */
export function promptWorkMs(rates: PassRates, sums: PassSums): number {
  return (
    rates.prefill_pass_ms * sums.prefill_passes +
    rates.token_ms * sums.prefill_tokens +
    rates.token_squared_ms * sums.prefill_tokens_squared
  );
}

const FEATURES = 5;
/** Of features scaled to one. */
const RIDGE = 1e-6;
/** Weight that remains of an observation after 1,000 more: 13 %. */
const FORGET = 0.998;
/** Reports before the first estimate: fewer would fit noise. */
const REPORTS_MIN = 8;
/** Reports between two solutions: solving takes microseconds, for thousands of reports a second. */
const SOLVE_EVERY = 32;
/** The pool's evidence counts as this many reports of the worker's own. */
const PRIOR_REPORTS = 16;
/** Weight that remains of a worker's reports after one report of idleness; one a second. */
const IDLE_FORGET = 0.98;

export class RateEstimator {
  readonly #prior: RateEstimator | undefined;
  readonly #products = new Float64Array(FEATURES * FEATURES);
  readonly #targets = new Float64Array(FEATURES);
  readonly #row = new Float64Array(FEATURES);
  /** Reports that `products` stand for: each counts less as it is forgotten. */
  #evidence = 0;
  #observed = 0;
  #idle = 0;
  #estimate: PassRates | undefined;

  constructor(prior?: RateEstimator) {
    this.#prior = prior;
  }

  /** An idle worker's report lets its earlier ones fade. A report with a NaN is ignored. */
  observe(sums: PassSums): void {
    const row = this.#row;
    row[0] = sums.prefill_passes;
    row[1] = sums.prefill_tokens;
    row[2] = sums.prefill_tokens_squared;
    row[3] = sums.decode_passes;
    row[4] = sums.decode_share;
    if (sums.busy_ms === 0) this.#fade();
    if (!(sums.busy_ms > 0) || !row.every((value) => value >= 0)) return;
    // Long reports would drown the short ones: each counts by its passes.
    const weight = 1 / Math.max(1, sums.prefill_passes + sums.decode_passes);
    for (let i = 0; i < FEATURES; i++) {
      this.#targets[i] = FORGET * this.#targets[i]! + weight * row[i]! * sums.busy_ms;
      for (let j = 0; j < FEATURES; j++) {
        const at = FEATURES * i + j;
        this.#products[at] = FORGET * this.#products[at]! + weight * row[i]! * row[j]!;
      }
    }
    this.#evidence = FORGET * this.#evidence + 1;
    this.#observed++;
    if (this.#observed === REPORTS_MIN || this.#observed % SOLVE_EVERY === 0) this.#solve();
  }

  /** Undefined: too few reports so far. */
  rates(): PassRates | undefined {
    return this.#estimate;
  }

  /** Fades a worker's evidence. Without a prior to fall back to, the evidence stays. */
  #fade(): void {
    if (this.#prior === undefined || this.#estimate === undefined) return;
    for (let i = 0; i < this.#products.length; i++) this.#products[i]! *= IDLE_FORGET;
    for (let i = 0; i < FEATURES; i++) this.#targets[i]! *= IDLE_FORGET;
    this.#evidence *= IDLE_FORGET;
    this.#idle++;
    if (this.#idle % SOLVE_EVERY === 0) this.#solve();
  }

  #solve(): void {
    const prior = this.#prior;
    const products = this.#products.slice();
    const targets = this.#targets.slice();
    if (prior !== undefined && prior.#evidence > 0) {
      const share = PRIOR_REPORTS / prior.#evidence;
      for (let i = 0; i < products.length; i++) products[i]! += share * prior.#products[i]!;
      for (let i = 0; i < FEATURES; i++) targets[i]! += share * prior.#targets[i]!;
    }
    const rates = costsOfFeatures({ products, targets }, RIDGE);
    this.#estimate = rates && named(rates);
  }
}

function named(rates: readonly number[]): PassRates | undefined {
  const rate = (feature: number) => rates[feature] ?? 0;
  const token_ms = rate(1);
  // Without the price of a token no costs can be compared.
  if (!(token_ms > 0)) return undefined;
  return {
    prefill_pass_ms: rate(0),
    token_ms,
    token_squared_ms: rate(2),
    decode_pass_ms: rate(3),
    decode_full_ms: rate(4),
  };
}
