/** Who may get a request at all. */
import { promptBlocks } from "./place-request.ts";
import type { Filter } from "./select.ts";
import { backlogTokens, usedShare } from "./worker-state.ts";

/** Who requires a taint goes there knowingly. */
export const tolerates = (
  taints: readonly string[],
  tolerated: readonly string[] = [],
  required: readonly string[] = [],
): boolean => taints.every((taint) => tolerated.includes(taint) || required.includes(taint));

export const includesAll = (all: readonly string[], some: readonly string[]) =>
  some.every((each) => all.includes(each));

const pinned: Filter = {
  name: "pin",
  code: "pinned_missing",
  concerns: ({ pin }) => pin !== undefined,
  admits: (worker, { request }) => request.pin === undefined || request.pin === worker.worker,
};

const allowed: Filter = {
  name: "allow-list",
  code: "no_worker",
  concerns: ({ allow }) => allow !== undefined,
  admits: (worker, { request }) => request.allow?.includes(worker.worker) ?? true,
};

const notExcluded: Filter = {
  name: "excluded",
  code: "overloaded",
  concerns: ({ exclude }) => exclude !== undefined && exclude.length > 0,
  admits: (worker, { request }) => !(request.exclude?.includes(worker.key) ?? false),
};

const required: Filter = {
  name: "required taints",
  code: "no_worker",
  concerns: ({ required_taints }) => required_taints !== undefined,
  admits: (worker, { request }) => includesAll(worker.labels, request.required_taints ?? []),
};

const tolerated: Filter = {
  name: "taints not tolerated",
  code: "no_worker",
  concerns: () => true,
  admitsAll: ({ pool }) => pool !== undefined && pool.tainted === undefined,
  admits: ({ taints }, { request }) =>
    taints.length === 0 || tolerates(taints, request.tolerated_taints, request.required_taints),
};

/** A prompt that never fits there would wait for ever. */
const fits: Filter = {
  name: "size",
  code: "no_worker",
  concerns: () => true,
  admitsAll: ({ pool, request }) => request.prompt_tokens <= (pool?.room_tokens ?? -1),
  admits: (worker, { request }) => promptBlocks(request, worker.block_size) <= worker.total_blocks,
};

/** Of its cache; the rest is for what its own answers grow by. */
const SPARE_SHARE = 0.9;
const SPARE_PASSES = 4;

/** Nothing waits there, its prompt is soon begun with, and all of it has room. */
const hasSpare: Filter = {
  name: "room to spare",
  code: "overloaded",
  concerns: ({ spare }) => spare === true,
  admits: (worker, { request, now_ms }) => {
    if (request.spare !== true) return true;
    const share = promptBlocks(request, worker.block_size) / worker.total_blocks;
    return (
      worker.reported?.waiting === 0 &&
      backlogTokens(worker, now_ms) < SPARE_PASSES * worker.batch_tokens &&
      usedShare(worker) + share <= SPARE_SHARE
    );
  },
};

/** One that starts again after a crash is empty, and would get every request first. */
export const notFailing: Filter = {
  name: "failed lately",
  code: "overloaded",
  soft: true,
  concerns: () => true,
  admitsAll: ({ pool, now_ms }) => (pool?.avoid_until_ms ?? Number.POSITIVE_INFINITY) <= now_ms,
  admits: ({ avoid_until_ms }, { now_ms }) => avoid_until_ms <= now_ms,
};

export const baseFilters: readonly Filter[] = [
  pinned,
  allowed,
  required,
  tolerated,
  fits,
  notExcluded,
  hasSpare,
];

/** What no waiting changes: who of those that are there may get it at all. */
export const wishFilters: readonly Filter[] = [pinned, allowed, required, tolerated];

export type BusyThresholds = {
  /** Share of the blocks in use, above which a worker gets nothing. */
  readonly active_decode_blocks?: number | undefined;
  /** Prompt tokens in the backlog, above which a worker gets nothing. */
  readonly active_prefill_tokens?: number | undefined;
};

/** Filters for the thresholds that are set. They may be changed while requests run. */
export function busyFilters(thresholds: () => BusyThresholds): readonly Filter[] {
  const notBusy: Filter = {
    name: "busy",
    code: "overloaded",
    concerns: () => true,
    admitsAll: ({ pool }) => {
      const { active_decode_blocks, active_prefill_tokens } = thresholds();
      // Nobody needs to be looked at for thresholds that are not set.
      if ((active_decode_blocks ?? active_prefill_tokens) === undefined) return true;
      return (
        pool?.noneAbove(
          active_decode_blocks ?? Number.POSITIVE_INFINITY,
          active_prefill_tokens ?? Number.POSITIVE_INFINITY,
        ) ?? false
      );
    },
    admits: (worker, { now_ms }) => {
      const { active_decode_blocks, active_prefill_tokens } = thresholds();
      const blocks_max = active_decode_blocks ?? Number.POSITIVE_INFINITY;
      const tokens_max = active_prefill_tokens ?? Number.POSITIVE_INFINITY;
      return usedShare(worker) <= blocks_max && backlogTokens(worker, now_ms) <= tokens_max;
    },
  };
  const pinnedNotBusy: Filter = {
    name: "busy pin",
    code: "pinned_overloaded",
    concerns: ({ pin }) => pin !== undefined,
    admits: notBusy.admits,
  };
  return [pinnedNotBusy, notBusy];
}

export const BUSY_WORDS = "Every worker is as busy as this server lets it be. Try again later.";

const words: Readonly<Record<string, string>> = {
  "": "No worker is there at the moment. Try again in a few seconds.",
  [pinned.name]: "The worker that this request names is not there. Name another one, or none.",
  [allowed.name]: "None of the workers that this request allows is there. Allow others, or all.",
  [required.name]: "No worker has all taints or labels that this request requires.",
  [tolerated.name]: "Every worker has a taint that this request does not tolerate.",
  [fits.name]: "This prompt is larger than the cache of any worker. Shorten it.",
  [notExcluded.name]: "Every worker is full or did not answer. Try again in a moment.",
  [hasSpare.name]: "No worker has room to spare at the moment. Try again in a moment.",
  busy: BUSY_WORDS,
  "busy pin": "The worker that this request names is busy. Try again later, or name none.",
};

/** What a client is told when this filter left nobody; "": nobody was there. */
export const refusalWords = (filter: string): string =>
  words[filter] ?? `No worker may take this request (${filter}). Try again later.`;
