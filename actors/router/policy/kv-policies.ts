/** `--router-policy`: the policies of a KV-aware router, each put together from parts. */
import type { ActiveBlocks } from "./active-blocks.ts";
import type { AffinityOptions } from "./affinity.ts";
import {
  type AdaptiveInputs,
  type AdaptiveOptions,
  adaptiveScan,
  adaptiveScorer,
} from "./cost/adaptive-cost.ts";
import {
  type DynamoCostOptions,
  dynamoParts,
  dynamoScorer,
  taintFactor,
} from "./cost/dynamo-cost.ts";
import {
  DEFAULT_OBJECTIVE,
  holdingFor,
  neverHeld,
  type RouterObjective,
  weightsFor,
} from "./cost/objective.ts";
import type { BusyThresholds } from "./filters.ts";
import type { ConditionalOptions } from "./pairs/conditional.ts";
import { adaptiveParts } from "./reasons/adaptive-parts.ts";
import type { Explainer } from "./reasons/reasons.ts";
import type { QueueOptions, QueueOrder } from "./route-queue.ts";
import { type Factor, type Picker, pickSoftly, type Scan, type Scorer } from "./select.ts";
import type { WorkerTable } from "./worker-table.ts";

export const kvPolicyNames = ["adaptive", "dynamo"] as const;
export type KvPolicyName = (typeof kvPolicyNames)[number];

export function isKvPolicyName(text: string): text is KvPolicyName {
  return (kvPolicyNames as readonly string[]).includes(text);
}

export type KvPolicyOptions = {
  readonly name: KvPolicyName;
  /** The goal of "adaptive". Default "goodput". */
  readonly objective?: RouterObjective;
  /** From the request's own first token (0) to all answers (1); replaces the objective's reach. */
  readonly reach?: number;
  readonly adaptive?: Partial<AdaptiveOptions>;
  readonly dynamo?: Partial<DynamoCostOptions>;
  /** 0: always the least cost. */
  readonly temperature?: number;
  /**
   * A request waits in the router while every worker that may take it has more than this many
   * passes of prompt tokens to compute. Default 0.5 for "adaptive", none for "dynamo".
   */
  readonly queue_threshold?: number;
  /**
   * A request waits in the router while its best worker has more than this many passes to compute,
   * unless many wait. Default the objective's for "adaptive", none for "dynamo".
   */
  readonly hold_passes?: number;
  /** Bound of that wait, in times that the own prompt takes. Default the objective's. */
  readonly patience?: number;
  readonly queue?: Partial<QueueOptions>;
  readonly affinity?: AffinityOptions;
  readonly busy?: () => BusyThresholds;
  /** Which prompts go to prefill workers, where there are any. */
  readonly conditional?: Partial<ConditionalOptions>;
  /** Requests wait for a prefill worker while there is none. */
  readonly enforce_disagg?: boolean;
};

export type KvPolicy = {
  readonly name: KvPolicyName;
  /** What the scorer's cost of one worker is made of. */
  readonly explain: Explainer;
  /** The objective of "adaptive". */
  readonly objective: RouterObjective | undefined;
  readonly scorer: Scorer;
  /** The scorer for all workers at once. */
  readonly scan: Scan | undefined;
  readonly factors: readonly Factor[];
  readonly picker: Picker;
  readonly queue_threshold: number;
  readonly hold_passes: number;
  readonly patience: number;
  readonly queue: Partial<QueueOptions>;
};

/** Parts of a policy where its options name no others. */
type Recipe = Pick<
  KvPolicy,
  "objective" | "scorer" | "scan" | "explain" | "queue_threshold" | "hold_passes" | "patience"
> & { readonly order: QueueOrder };

/** Inputs of a scan: the workers, and the blocks in use at them. */
type Scanned = { readonly table: WorkerTable; readonly active: ActiveBlocks };

type MakeRecipe = (options: KvPolicyOptions, inputs: AdaptiveInputs, scanned: Scanned) => Recipe;

export const DEFAULT_THRESHOLD_PASSES = 0.5;

const recipes: Readonly<Record<KvPolicyName, MakeRecipe>> = {
  adaptive: (options, inputs, { table, active }) => {
    const { objective = DEFAULT_OBJECTIVE, reach } = options;
    const weights = { ...weightsFor(objective, reach), ...options.adaptive };
    return {
      objective,
      scorer: adaptiveScorer(inputs, weights),
      scan: adaptiveScan(inputs, table, active, weights),
      queue_threshold: DEFAULT_THRESHOLD_PASSES,
      explain: adaptiveParts(inputs, weights),
      ...holdingFor(objective),
      order: "shortest",
    };
  },
  dynamo: (options) => ({
    objective: undefined,
    scorer: dynamoScorer(options.dynamo),
    scan: undefined,
    explain: dynamoParts(options.dynamo),
    queue_threshold: Number.POSITIVE_INFINITY,
    ...neverHeld,
    order: "fcfs",
  }),
};

/** The policy of these options, with its recipe's parts where they name none. */
export function kvPolicy(
  options: KvPolicyOptions,
  inputs: AdaptiveInputs,
  table: WorkerTable,
  active: ActiveBlocks,
): KvPolicy {
  const recipe = recipes[options.name](options, inputs, { table, active });
  return {
    name: options.name,
    objective: recipe.objective,
    explain: recipe.explain,
    scorer: recipe.scorer,
    scan: recipe.scan,
    factors: [taintFactor],
    picker: pickSoftly(options.temperature ?? 0),
    queue_threshold: options.queue_threshold ?? recipe.queue_threshold,
    hold_passes: options.hold_passes ?? recipe.hold_passes,
    patience: options.patience ?? recipe.patience,
    queue: { order: recipe.order, ...options.queue },
  };
}
