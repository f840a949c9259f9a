/**
 * What a pass of an engine costs, by least squares over the sums that workers report. The time of
 * a pass is taken as linear in six features, so it holds for sums as well. Observations fade, as a
 * straight line only fits where an engine works just now. All of it is plain data.
 */
import { costsOfFeatures } from "../../../llm/profile/pass-costs.ts";
import type { PassFigures } from "../pipeline/snapshot.ts";

/** Milliseconds each. */
export type PassCosts = {
  readonly prefill_pass: number;
  readonly token: number;
  readonly token_squared: number;
  readonly decode_pass: number;
  /** More for a pass with all blocks in use. */
  readonly decode_full: number;
  readonly decode_token: number;
};

export type CostEvidence = {
  /** Products of features, row by row. */
  readonly products: readonly number[];
  readonly targets: readonly number[];
  /** Observations, fading. */
  readonly count: number;
};

const FEATURES = 6;
/** Weight that remains after an observed interval of all workers. */
const FORGET = 0.97;
/** Against features that always come together; of features scaled to one. */
const RIDGE = 1e-4;

export const noEvidence: CostEvidence = {
  products: new Array<number>(FEATURES * FEATURES).fill(0),
  targets: new Array<number>(FEATURES).fill(0),
  count: 0,
};

function featuresOf(passes: PassFigures): number[] {
  return [
    passes.prefill_passes,
    passes.prefill_tokens,
    passes.prefill_tokens_squared,
    passes.decode_passes,
    passes.decode_share,
    passes.decode_tokens,
  ];
}

/** With the passes of one interval, one item a worker. */
export function withPasses(
  evidence: CostEvidence,
  workers: readonly (PassFigures | undefined)[],
): CostEvidence {
  const rows = workers.filter(
    (passes) =>
      passes !== undefined && passes.busy_ms > 0 && featuresOf(passes).every(Number.isFinite),
  ) as readonly PassFigures[];
  if (rows.length === 0) return evidence;
  const products = evidence.products.map((value) => FORGET * value);
  const targets = evidence.targets.map((value) => FORGET * value);
  for (const passes of rows) {
    const row = featuresOf(passes);
    // A busy worker's sums would drown the others: each counts by its passes.
    const weight = 1 / Math.max(1, passes.prefill_passes + passes.decode_passes);
    for (let i = 0; i < FEATURES; i++) {
      targets[i]! += weight * row[i]! * passes.busy_ms;
      for (let j = 0; j < FEATURES; j++) {
        products[FEATURES * i + j]! += weight * row[i]! * row[j]!;
      }
    }
  }
  return { products, targets, count: FORGET * evidence.count + rows.length };
}

/** Undefined: no pass has been seen. */
export function costsOf(evidence: CostEvidence): PassCosts | undefined {
  if (evidence.count === 0) return undefined;
  const costs = costsOfFeatures(evidence, RIDGE);
  return costs && named(costs);
}

function named(costs: readonly number[]): PassCosts {
  const cost = (feature: number) => costs[feature] ?? 0;
  return {
    prefill_pass: cost(0),
    token: cost(1),
    token_squared: cost(2),
    decode_pass: cost(3),
    decode_full: cost(4),
    decode_token: cost(5),
  };
}

/** Time that prompts took, and the part of the decode passes that grows with the load. */
export function prefillMs(costs: PassCosts, passes: PassFigures): number {
  return (
    costs.prefill_pass * passes.prefill_passes +
    costs.token * passes.prefill_tokens +
    costs.token_squared * passes.prefill_tokens_squared
  );
}

/** @param most of a pass; 0: unknown */
export function promptMs(costs: PassCosts, tokens: number, most: number): number {
  const pass = most > 0 ? Math.min(tokens, most) : tokens;
  const passes = pass > 0 ? Math.max(1, Math.ceil(tokens / pass)) : 1;
  return costs.prefill_pass * passes + (costs.token + costs.token_squared * pass) * tokens;
}

export function decodeLoadMs(costs: PassCosts, passes: PassFigures): number {
  return costs.decode_full * passes.decode_share + costs.decode_token * passes.decode_tokens;
}
