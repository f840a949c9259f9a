/**
 * Whether a prompt is computed by a prefill worker, or by the worker that answers.
 *
 *   off            by a prefill worker, if there is a block to hand over
 *   isl_bounding   Dynamo's rule: here if fewer than `eff_isl` tokens are uncached, and these are
 *                  less than `eff_isl_ratio` of the prompt
 *   adaptive       here also if it, and by a tenth the answers that it holds up there, wait no
 *                  longer together than it would for a hand-over; or if the prefill workers are so
 *                  busy that even all of them would wait less
 */
import type { PassRates } from "../cost/pass-rates.ts";

export const conditionalModes = ["adaptive", "isl_bounding", "off"] as const;
export type ConditionalMode = (typeof conditionalModes)[number];

export type ConditionalOptions = {
  readonly mode: ConditionalMode;
  readonly eff_isl: number;
  readonly eff_isl_ratio: number;
};

export const conditionalDefaults: ConditionalOptions = {
  mode: "adaptive",
  eff_isl: 2048,
  eff_isl_ratio: 0.7,
};

/** What is known before a prefill worker is looked for. */
export type AnswerSide = {
  readonly prompt_tokens: number;
  /** Of the prompt, what the worker that answers does not have. */
  readonly uncached_tokens: number;
  /** Rates of that worker; undefined: not known yet. */
  readonly rates: PassRates | undefined;
  /** From the end of a prompt at its prefill worker to the first token, in ms. */
  readonly hand_over_ms: number;
  /** Requests that are there. */
  readonly requests: number;
};

export function isLocal(options: ConditionalOptions, side: AnswerSide): boolean {
  const { mode, eff_isl, eff_isl_ratio } = options;
  const { prompt_tokens, uncached_tokens, rates, hand_over_ms, requests } = side;
  if (mode === "off") return false;
  if (uncached_tokens < eff_isl && uncached_tokens < eff_isl_ratio * prompt_tokens) return true;
  if (mode === "isl_bounding" || rates === undefined) return false;
  return (1 + HELD_UP_WEIGHT * requests) * promptMs(rates, uncached_tokens) <= hand_over_ms;
}

export type BothSides = AnswerSide & {
  /** Prompt tokens that the worker that answers has to compute already. */
  readonly backlog_tokens: number;
  /** The same of the prefill worker. */
  readonly prefill: {
    readonly uncached_tokens: number;
    readonly backlog_tokens: number;
    readonly rates: PassRates | undefined;
  };
};

/**
 * What a wait in a running answer weighs beside a wait for a first token: the share that limits of
 * the two have to each other in practice (Dynamo's defaults are 50 ms and 500 ms). Weighed alike,
 * busy prefill workers were waited for while the others had room.
 */
const HELD_UP_WEIGHT = 0.1;

/** A prompt computed among answers holds each of them up, and one that comes next. */
const LOCAL_WEIGHT = 2;

/** True: the prefill worker is so busy that the prompt is computed sooner where the answer is. */
export function waitsTooLong({ mode }: ConditionalOptions, sides: BothSides): boolean {
  const { rates, prefill } = sides;
  if (mode !== "adaptive" || rates === undefined || prefill.rates === undefined) return false;
  const there = promptMs(prefill.rates, prefill.backlog_tokens + prefill.uncached_tokens);
  const here = promptMs(rates, sides.backlog_tokens + sides.uncached_tokens);
  return there + sides.hand_over_ms > (LOCAL_WEIGHT + HELD_UP_WEIGHT * sides.requests) * here;
}

const promptMs = ({ prefill_pass_ms, token_ms }: PassRates, tokens: number): number =>
  prefill_pass_ms + token_ms * tokens;

/** Tokens that can be handed over: of full blocks, and one is left to the worker that answers. */
export const handedTokens = (prompt_tokens: number, block_size: number): number =>
  block_size * Math.floor(Math.max(0, prompt_tokens - 1) / block_size);
