/**
 * What an adaptive cost is made of, for people who ask why a request went where it did. The sum is
 * `costOf` of adaptive-cost.ts, whose head says what the parts are; a test holds the two together.
 */

import {
  type AdaptiveInputs,
  type AdaptiveOptions,
  adaptiveDefaults,
  meanOf,
  Question,
  UNRATED_OWN_WEIGHT,
} from "../cost/adaptive-cost.ts";
import type { PassRates } from "../cost/pass-rates.ts";
import { type Place, uncachedTokens } from "../place.ts";
import { promptBlocks } from "../place-request.ts";
import { backlogTokens, requestsThere, sharedBlocks, usedShare } from "../worker-state.ts";
import type { Explainer } from "./reasons.ts";

export function adaptiveParts(
  inputs: AdaptiveInputs,
  given: Partial<AdaptiveOptions> = {},
): Explainer {
  const question = new Question({ ...adaptiveDefaults, ...given });
  return (place, at) => {
    const { workers } = place;
    question.ask(place, inputs, meanOf(workers, usedShare), meanOf(workers, requestsThere));
    const rates = inputs.rates(workers[at]!);
    return rates === undefined
      ? { unit: "tokens", parts: unrated(place, at, question) }
      : { unit: "ms", parts: rated(place, at, question, rates) };
  };
}

function ownWeight({ workers }: Place, at: number, question: Question): number {
  const stalled = requestsThere(workers[at]!) / question.stall_divisor;
  return question.own_weight + question.options.stall_weight * stalled;
}

function unrated(place: Place, at: number, question: Question) {
  const worker = place.workers[at]!;
  const weight = Math.max(UNRATED_OWN_WEIGHT, ownWeight(place, at, question));
  return {
    backlog: backlogTokens(worker, place.now_ms),
    own: weight * uncachedTokens(place, at),
    in_use: usedShare(worker) * worker.total_blocks * worker.block_size,
  };
}

function rated(place: Place, at: number, question: Question, rates: PassRates) {
  const worker = place.workers[at]!;
  const { options, steps } = question;
  const { token_ms, token_squared_ms, prefill_pass_ms, decode_pass_ms, decode_full_ms } = rates;
  const { batch_tokens, total_blocks } = worker;
  const share = usedShare(worker);
  const pass_part_ms = prefill_pass_ms / batch_tokens;
  const step_ms = decode_pass_ms + decode_full_ms * share;
  const whole_token_ms = token_ms + (prefill_pass_ms + step_ms) / batch_tokens;
  const msOf = (tokens: number) =>
    tokens * (token_ms + token_squared_ms * Math.min(tokens, batch_tokens) + pass_part_ms);
  const tokens = uncachedTokens(place, at);
  const backlog = backlogTokens(worker, place.now_ms, whole_token_ms);
  const fresh =
    promptBlocks(place.request, worker.block_size) - sharedBlocks(worker, place.request);
  const grows = fresh / total_blocks;
  const then = Math.min(1, share + grows);
  const excess = Math.max(0, then - question.fair_share);
  return {
    backlog: msOf(backlog),
    own: ownWeight(place, at, question) * msOf(tokens),
    steps: ((backlog + tokens) / batch_tokens) * step_ms,
    decoding: steps * options.decode_weight * (decode_pass_ms + decode_full_ms * then),
    others: steps * options.others_weight * (decode_full_ms * grows * requestsThere(worker)),
    overfull: steps * options.overfull_weight * decode_full_ms * excess,
  };
}
