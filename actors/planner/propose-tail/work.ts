/**
 * What n workers make of a load, in closed form.
 *
 * A request costs prompt time and, for each token it draws, the part of a decode pass that grows
 * with what the pass carries. Their sum a second and worker is the load U. The rest of a decode
 * pass is the same however full it is, and is what the time left is spent on:
 *
 *   between two tokens   itl = pass / (1 - U)              where U < 1
 *   first token          own passes, and the decodes that they carry along
 *                        + prompts in front: none, or an exponential time (M/G/n)
 *
 * The spread of own prompts is taken as it is, that of the times between tokens as it was measured.
 */

import { shareWithin } from "./log-normal.ts";

/** Of one role. Times in ms. */
export type Work = {
  readonly requests_per_s: number;
  /** A prompt of so many tokens, without anything beside it. */
  readonly promptMs: (tokens: number) => number;
  /** Of a prompt token. */
  readonly token: number;
  /** Prompt time of a request, and in how many passes. */
  readonly prefill: number;
  readonly prefill_passes: number;
  /** The growing part of the decode passes of a request: all of its tokens. */
  readonly decode: number;
  /** The part of a decode pass that does not grow; 0: this role draws no tokens. */
  readonly decode_pass: number;
};

/** Of the requests by themselves: what load adds is not in it. */
export type Spreads = {
  /** Prompt times in ms, each of as many requests, from the shortest on. */
  readonly own: readonly number[];
  /** Of the logarithms of the times between tokens. */
  readonly itl_sigma: number;
};

export type Limits = { readonly ttft_ms: number; readonly itl_ms: number };

export type Expected = {
  /** Busy part of a worker; from 1 on it falls behind. */
  readonly load: number;
  /** Medians. */
  readonly ttft_ms: number;
  readonly itl_ms: number;
  /** Shares of the requests within the limit. */
  readonly ttft_share: number;
  readonly itl_share: number;
};

/** Workers that are fuller than this fall behind now and then. */
export const CALM_LOAD = 0.9;
/** So many workers show what requests are by themselves. */
export const ENDLESS = 1e6;
/** Passes are not of one length, and workers not all equally full. */
const LOAD_MAX = 0.97;

export function expected(work: Work, workers: number, spreads: Spreads, limits: Limits): Expected {
  const load = loadOf(work, workers);
  if (load >= LOAD_MAX) {
    const never = Number.MAX_VALUE;
    return { load, ttft_ms: never, itl_ms: never, ttft_share: 0, itl_share: 0 };
  }
  const wait = waits(work, workers, spreads.own);
  const itl_ms = work.decode_pass / (1 - load);
  return {
    ...{ load, itl_ms },
    ttft_ms: (spreads.own[spreads.own.length >> 1] ?? 0) + wait.carried_ms,
    ttft_share: firstShare(limits.ttft_ms, work, spreads.own, wait),
    itl_share: shareWithin(limits.itl_ms, itl_ms, spreads.itl_sigma),
  };
}

export function loadOf(work: Work, workers: number): number {
  const ms = work.requests_per_s * (work.prefill + work.decode);
  return workers > 0 ? ms / 1_000 / workers : Number.POSITIVE_INFINITY;
}

/** What a first token waits for beside its own prompt, in ms. */
export type Waits = {
  /** Decode passes that its own passes carry along, and the one that is under way when it comes. */
  readonly carried_ms: number;
  /** The same for each ms of own prompt time beyond a prompt of mean length. */
  readonly carried: number;
  /** Share of the requests that find prompts in front of them, and how long these take then. */
  readonly behind: number;
  readonly queue_ms: number;
};

/** Workers wait for one another's queues as M/G/n says in part: a cache binds a prompt to few. */
const SHARED = 0.8;

export function waits(work: Work, workers: number, own: readonly number[]): Waits {
  const load = Math.min(LOAD_MAX, loadOf(work, workers));
  const prefill_share = Math.min(LOAD_MAX, (work.requests_per_s * work.prefill) / 1_000 / workers);
  const passes = Math.max(1, work.prefill_passes);
  const decode_pass = work.decode_pass > 0 ? decodePassMs(work, load, prefill_share) : 0;
  // A prompt's passes carry the decodes along.
  const stretched = work.prefill + passes * decode_pass;
  const busy = Math.min(LOAD_MAX, (work.requests_per_s * stretched) / 1_000 / workers);
  const power = 1 + SHARED * (Math.sqrt(2 * (workers + 1)) - 2);
  return {
    carried_ms: (passes + 0.5) * decode_pass,
    carried: work.prefill > 0 ? (passes * decode_pass) / work.prefill : 0,
    behind: busy ** power,
    queue_ms: (stretched * (1 + variationOf(own))) / 2 / (1 - busy),
  };
}

/** Of the prompts, the share that has its first token in time. */
function firstShare(limit_ms: number, work: Work, own: readonly number[], wait: Waits): number {
  const alone_ms = (own_ms: number) =>
    own_ms + wait.carried_ms + wait.carried * Math.max(0, own_ms - work.prefill);
  let within = 0;
  let low_ms = alone_ms(own[0] ?? 0);
  for (let i = 0; i < own.length; i++) {
    // Each stands for those up to halfway to the next one: no step where one is just too long.
    const high_ms = alone_ms((own[i]! + (own[i + 1] ?? own[i]!)) / 2);
    if (low_ms > limit_ms) break;
    const part = high_ms > limit_ms ? (limit_ms - low_ms) / (high_ms - low_ms) : 1;
    const left_ms = limit_ms - (low_ms + Math.min(high_ms, limit_ms)) / 2;
    within += part * (1 - wait.behind * Math.exp(-left_ms / Math.max(1e-9, wait.queue_ms)));
    low_ms = high_ms;
  }
  return own.length === 0 ? 1 : within / own.length;
}

/** Variance over the square of the mean. */
export function variationOf(times: readonly number[]): number {
  let [sum, square] = [0, 0];
  for (const time of times) {
    sum += time;
    square += time * time;
  }
  return sum > 0 ? Math.max(0, (square * times.length) / (sum * sum) - 1) : 0;
}

function decodePassMs(work: Work, load: number, prefill_share: number): number {
  return (work.decode_pass / (1 - load)) * (1 - prefill_share);
}
