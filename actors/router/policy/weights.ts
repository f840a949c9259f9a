/**
 * The numbers of a KV-aware policy that may be changed while it runs, by name: those of its cost,
 * and how long requests are held for a better worker. Pure.
 */
import { adaptiveDefaults } from "./cost/adaptive-cost.ts";
import { dynamoCostDefaults } from "./cost/dynamo-cost.ts";
import { DEFAULT_OBJECTIVE, holdingFor, neverHeld, weightsFor } from "./cost/objective.ts";
import {
  DEFAULT_THRESHOLD_PASSES,
  type KvPolicyName,
  type KvPolicyOptions,
} from "./kv-policies.ts";

export type Weights = Readonly<Record<string, number>>;

/** What has no bound is written so, as JSON has no word for it. */
const WITHOUT_BOUND = 1e9;

/** Of every policy. */
const common = ["temperature", "queue_threshold", "hold_passes", "patience"] as const;

const costNames: Readonly<Record<KvPolicyName, readonly string[]>> = {
  adaptive: Object.keys(adaptiveDefaults),
  dynamo: Object.entries(dynamoCostDefaults).flatMap(([name, value]) =>
    typeof value === "number" ? [name] : [],
  ),
};

export const weightNames = (policy: KvPolicyName): readonly string[] => [
  ...costNames[policy],
  ...common,
];

/** The weights that a policy of these options has. */
export function weightsOf(options: KvPolicyOptions): Weights {
  const { name, objective = DEFAULT_OBJECTIVE, reach } = options;
  const adaptive = name === "adaptive";
  const costs: Readonly<Record<string, number | boolean>> = adaptive
    ? { ...adaptiveDefaults, ...weightsFor(objective, reach), ...options.adaptive }
    : { ...dynamoCostDefaults, ...options.dynamo };
  const holding = adaptive ? holdingFor(objective) : neverHeld;
  const all: Readonly<Record<string, number | boolean | undefined>> = {
    ...costs,
    temperature: options.temperature ?? 0,
    queue_threshold:
      options.queue_threshold ?? (adaptive ? DEFAULT_THRESHOLD_PASSES : WITHOUT_BOUND),
    hold_passes: options.hold_passes ?? holding.hold_passes,
    patience: options.patience ?? holding.patience,
  };
  const rows = weightNames(name).map((weight) => [
    weight,
    rounded(Math.min(WITHOUT_BOUND, Number(all[weight]))),
  ]);
  return Object.fromEntries(rows) as Weights;
}

/** As a person would write it: 1.4 for 7 × 0.2. */
const rounded = (value: number) => Number(value.toPrecision(12));

/** The options with these weights instead of their own; another policy's names are passed over. */
export function withWeights(options: KvPolicyOptions, weights: Weights): KvPolicyOptions {
  const own = Object.entries(weights).filter(([weight]) =>
    costNames[options.name].includes(weight),
  );
  const costs = Object.fromEntries(own);
  const shared = common.flatMap((weight) => {
    const value = weights[weight];
    if (value === undefined) return [];
    return [[weight, value >= WITHOUT_BOUND ? Number.POSITIVE_INFINITY : value] as const];
  });
  return {
    ...options,
    ...(options.name === "adaptive"
      ? { adaptive: { ...options.adaptive, ...costs } }
      : { dynamo: { ...options.dynamo, ...costs } }),
    ...Object.fromEntries(shared),
  };
}

/** One line that says what is wrong with a wish; undefined: nothing. */
export function weightProblem(policy: KvPolicyName, name: string, value: unknown) {
  if (!weightNames(policy).includes(name)) {
    return `policy ${policy} has no weight "${name}"; it has ${weightNames(policy).join(", ")}`;
  }
  if (typeof value === "number" && value >= 0 && value <= WITHOUT_BOUND) return undefined;
  return `${name} is a number from 0 to ${WITHOUT_BOUND}, not ${JSON.stringify(value)}`;
}
