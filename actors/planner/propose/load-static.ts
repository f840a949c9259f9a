/**
 * Static thresholds of the load loop (Dynamo 1.x, targets `throughput`, `latency` and `load`): one
 * worker more when any is over the upper one, one fewer when all are under the lower one.
 *
 *   target      prefill: queued tokens / context length   else: KV tokens used and queued / all
 *   throughput  up from 1, down below 0.1                  up above 1, down below 0.6
 *   latency     up from 0.1, down at 0                     up above 0.4, down below 0.1
 *   load        the configuration's tokens                 the configuration's percent
 */
import type { PlannerConfig } from "../pipeline/config.ts";
import type { PlanRole, PlanSnapshot, WorkerLimits, WorkerView } from "../pipeline/snapshot.ts";
import { countRole } from "./count-role.ts";
import type { Signal } from "./load-guards.ts";
import { figure } from "./throughput-loop.ts";

type Thresholds = { readonly up: number; readonly down: number };

const prefill_thresholds = {
  throughput: { up: 1, down: 0.1 },
  latency: { up: 0.1, down: 0 },
} as const;
const kv_thresholds = {
  throughput: { up: 1, down: 0.6 },
  latency: { up: 0.4, down: 0.1 },
} as const;

/**
 * `config.optimization_target` is not `sla`; the role's workers all report.
 *
 * @param held_tokens of prompts that wait in routers
 */
export function staticSignal(
  config: PlannerConfig,
  snapshot: PlanSnapshot,
  role: PlanRole,
  held_tokens = 0,
): Signal {
  const { serving } = countRole(snapshot, role);
  if (role === "prefill") {
    return prefillSignal(config, snapshot.limits, promptQueues(serving, held_tokens));
  }
  const target = config.optimization_target;
  const { up, down }: Thresholds =
    target === "throughput" || target === "latency"
      ? kv_thresholds[target]
      : {
          up: config.decode_scale_up_kv_rate / 100,
          down: config.decode_scale_down_kv_rate / 100,
        };
  const shares = serving.map((worker) => kvShare(worker, snapshot.limits));
  if (shares.some((share) => share === undefined)) {
    const why = "How many KV tokens fit is not known.";
    return { step: undefined, reason: "insufficient_data", why };
  }
  const known = shares.filter((share) => share !== undefined);
  return step(
    known,
    (share) => share > up,
    (share) => share < down,
    "of the KV tokens",
    up,
    down,
  );
}

/**
 * Prompt tokens that wait for each. Routers keep what a full worker would only queue; while one has
 * nothing to do, it is for others that they keep it.
 */
function promptQueues(serving: readonly WorkerView[], held_tokens: number): readonly number[] {
  const queued = serving.map(({ queued_prefill_tokens }) => queued_prefill_tokens);
  const full = queued.every((tokens) => tokens > 0);
  return full ? queued.map((tokens) => tokens + held_tokens / queued.length) : queued;
}

function prefillSignal(
  config: PlannerConfig,
  { context_length }: WorkerLimits,
  queued: readonly number[],
): Signal {
  const target = config.optimization_target;
  if (target !== "throughput" && target !== "latency") {
    const up = config.prefill_scale_up_queue_tokens;
    const down = config.prefill_scale_down_queue_tokens;
    return queueStep(queued, { up, down }, "queued tokens");
  }
  if (!(context_length > 0)) {
    const why = "The context length is not known.";
    return { step: undefined, reason: "insufficient_data", why };
  }
  const ratios = queued.map((tokens) => tokens / context_length);
  return queueStep(ratios, prefill_thresholds[target], "contexts queued");
}

/** A lower threshold of 0 is an empty queue: nothing is below it. */
function queueStep(values: readonly number[], { up, down }: Thresholds, what: string): Signal {
  const under = (value: number) => (down > 0 ? value < down : value <= 0);
  return step(values, (value) => value >= up, under, what, up, down);
}

function step(
  values: readonly number[],
  over: (value: number) => boolean,
  under: (value: number) => boolean,
  what: string,
  up: number,
  down: number,
): Signal {
  const most = Math.max(...values);
  const range = `at most ${figure(most)} ${what} (up ${figure(up)}, down ${figure(down)}).`;
  if (values.some(over)) return { step: 1, why: `A worker is over: ${range}` };
  if (values.length > 1 && values.every(under)) return { step: -1, why: `All are under: ${range}` };
  return { step: 0, why: `Between: ${range}` };
}

/** Used and queued: prompts at an aggregated worker, whole contexts at one that decodes. */
function kvShare(worker: WorkerView, limits: WorkerLimits): number | undefined {
  const all = worker.kv_total_tokens > 0 ? worker.kv_total_tokens : limits.max_kv_tokens;
  if (!(all > 0)) return undefined;
  return (worker.kv_used_tokens + queuedKvTokens(worker)) / all;
}

/**
 * KV tokens that what waits will use. A decode worker's waiting requests bring contexts that others
 * computed, of which only the number is known: each counts as the mean of those that run.
 */
export function queuedKvTokens(worker: WorkerView): number {
  if (worker.role === "aggregated") return worker.queued_prefill_tokens;
  const mean_context = worker.running > 0 ? worker.kv_used_tokens / worker.running : 0;
  return Math.max(worker.queued_prefill_tokens, worker.waiting * mean_context);
}
