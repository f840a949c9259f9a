/** Which workers may get a request: the filters of all modes, then those of mode kv. */
import type { Filter, Question, WorkerView } from "./filter.ts";
import type { Place } from "./place.ts";
import { promptBlocks } from "./place-request.ts";
import { backlogTokens, type RoutedWorker, usedShare } from "./worker-state.ts";

type AnyFilter = Filter<WorkerView, Question>;
type ConstraintFilter = Filter<WorkerView, Pick<Question, "request" | "pool">>;
export type KvFilter = Filter<RoutedWorker, Place>;

/** Message when there is no worker at all. */
export const NO_WORKERS = "No worker is there at the moment. Try again in a few seconds.";

const pinned: ConstraintFilter = {
  word: "not named",
  code: "pinned_missing",
  message: "The worker that this request names is not there. Name another one, or none.",
  concerns: ({ pin }) => pin !== undefined,
  admits: (worker, { request }) => request.pin === undefined || request.pin === worker.worker,
};

const allowed: ConstraintFilter = {
  word: "not allowed",
  code: "no_worker",
  message: "None of the workers that this request allows is there. Allow others, or all.",
  concerns: ({ allow }) => allow !== undefined,
  admits: (worker, { request }) => request.allow?.includes(worker.worker) ?? true,
};

const required: ConstraintFilter = {
  word: "lacks a label",
  code: "no_worker",
  message: "No worker has all taints or labels that this request requires.",
  concerns: ({ required_taints }) => required_taints !== undefined,
  admits: ({ labels }, { request }) =>
    request.required_taints?.every((each) => labels.includes(each)) ?? true,
};

const tolerated: ConstraintFilter = {
  word: "taint",
  code: "no_worker",
  message: "Every worker has a taint that this request does not tolerate.",
  concerns: () => true,
  admitsAll: ({ pool }) => pool !== undefined && pool.tainted === undefined,
  admits: ({ taints }, { request }) =>
    taints.length === 0 || tolerates(taints, request.tolerated_taints, request.required_taints),
};

/** True: every taint of the worker is tolerated; a required taint is. */
const tolerates = (
  taints: readonly string[],
  tolerated_taints: readonly string[] = [],
  required_taints: readonly string[] = [],
): boolean =>
  taints.every((taint) => tolerated_taints.includes(taint) || required_taints.includes(taint));

const adapted: ConstraintFilter = {
  word: "no adapter",
  code: "no_worker",
  message: "No worker has the adapter that this request names. Load it, or try again in a moment.",
  concerns: ({ adapter }) => adapter !== undefined,
  admits: ({ adapters }, { request: { adapter } }) =>
    adapter === undefined || adapters.includes(adapter),
};

/** Constraints of client and operator, which no waiting changes. */
export const constraintFilters: readonly ConstraintFilter[] = [
  pinned,
  allowed,
  required,
  tolerated,
  adapted,
];

export const notExcluded: AnyFilter = {
  word: "excluded",
  code: "overloaded",
  message: "Every worker is full or did not answer. Try again in a moment.",
  concerns: ({ exclude }) => exclude !== undefined && exclude.length > 0,
  admits: ({ key, process }, { request: { exclude } }) =>
    exclude === undefined || !(exclude.includes(key) || exclude.includes(process)),
};

export const nothingWaits: AnyFilter = {
  word: "requests wait there",
  code: "overloaded",
  message: "Requests wait at every worker. Try again in a moment.",
  concerns: ({ spare }) => spare === true,
  admits: ({ reported }) => reported?.waiting === 0,
};

/** Avoids workers that failed lately: one that restarts after a crash is empty and would win. */
export const notFailing: AnyFilter = {
  word: "failed lately",
  code: "overloaded",
  message: "Every worker failed lately. Try again in a moment.",
  soft: true,
  concerns: () => true,
  admitsAll: ({ pool, now_ms }) => (pool?.avoid_until_ms ?? Number.POSITIVE_INFINITY) <= now_ms,
  admits: ({ avoid_until_ms }, { now_ms }) => avoid_until_ms <= now_ms,
};

/** A prompt that never fits a worker's cache would wait for ever. */
const fits: KvFilter = {
  word: "too small",
  code: "no_worker",
  message: "This prompt is larger than the cache of any worker. Shorten it.",
  concerns: () => true,
  admitsAll: ({ pool, request }) => request.prompt_tokens <= (pool?.room_tokens ?? -1),
  admits: (worker, { request }) => promptBlocks(request, worker.block_size) <= worker.total_blocks,
};

/** The share of its cache that may be used; its answers grow into the rest. */
const SPARE_SHARE = 0.9;
const SPARE_PASSES = 4;

/** The worker can begin with the prompt soon, and has room for all of it. */
const hasSpare: KvFilter = {
  word: "no room",
  code: "overloaded",
  message: "No worker has room to spare at the moment. Try again in a moment.",
  concerns: ({ spare }) => spare === true,
  admits: (worker, { request, now_ms }) => {
    const share = promptBlocks(request, worker.block_size) / worker.total_blocks;
    return (
      backlogTokens(worker, now_ms) < SPARE_PASSES * worker.batch_tokens &&
      usedShare(worker) + share <= SPARE_SHARE
    );
  },
};

/** Filters of mode kv in the order in which they are asked; `notFailing` comes last. */
export const kvFilters: readonly KvFilter[] = [
  ...constraintFilters,
  fits,
  notExcluded,
  nothingWaits,
  hasSpare,
];

export type BusyThresholds = {
  /** Share of the blocks in use, above which a worker gets nothing. */
  readonly active_decode_blocks?: number | undefined;
  /** Prompt tokens in the backlog, above which a worker gets nothing. */
  readonly active_prefill_tokens?: number | undefined;
  /** The same, as a multiple of the tokens of one of its passes. */
  readonly active_prefill_frac?: number | undefined;
};

/** Filters for the thresholds that are set. They may be changed while requests run. */
export function busyFilters(thresholds: () => BusyThresholds): readonly KvFilter[] {
  const notBusy: KvFilter = {
    word: "busy",
    code: "overloaded",
    message: BUSY_MESSAGE,
    concerns: () => true,
    admitsAll: ({ pool }) => {
      const { active_decode_blocks, active_prefill_tokens, active_prefill_frac } = thresholds();
      if (active_prefill_frac !== undefined) return false;
      // No worker needs to be looked at for thresholds that are not set.
      if ((active_decode_blocks ?? active_prefill_tokens) === undefined) return true;
      return (
        pool?.noneAbove(
          active_decode_blocks ?? Number.POSITIVE_INFINITY,
          active_prefill_tokens ?? Number.POSITIVE_INFINITY,
        ) ?? false
      );
    },
    admits: (worker, { now_ms }) => {
      const { active_decode_blocks, active_prefill_tokens, active_prefill_frac } = thresholds();
      const blocks_max = active_decode_blocks ?? Number.POSITIVE_INFINITY;
      const tokens_max = Math.min(
        active_prefill_tokens ?? Number.POSITIVE_INFINITY,
        (active_prefill_frac ?? Number.POSITIVE_INFINITY) * worker.batch_tokens,
      );
      return usedShare(worker) <= blocks_max && backlogTokens(worker, now_ms) <= tokens_max;
    },
  };
  const pinnedNotBusy: KvFilter = {
    word: "busy",
    code: "pinned_overloaded",
    message: "The worker that this request names is busy. Try again later, or name none.",
    concerns: ({ pin }) => pin !== undefined,
    admits: notBusy.admits,
  };
  return [pinnedNotBusy, notBusy];
}

export const BUSY_MESSAGE = "Every worker is as busy as this server lets it be. Try again later.";
