/** Wire request ↔ engine request: no decisions, only shapes. */
import { bytesOf, tokensOf, u64Of } from "../../llm/tokens/token-bytes.ts";
import type {
  ChoiceStart,
  Finished,
  Generate,
  SamplingParams,
  TokenLogprob as WireLogprob,
} from "../../proto/index.ts";
import type { EngineEvent, EngineRequest, Sampling, TokenLogprob } from "../engine/engine.ts";

/** False: no engine can take the request; only a broken peer sends one like it. */
export function isWellFormed(generate: Generate): boolean {
  const { prompt, choices } = generate;
  const numbers = new Set(choices.map((start) => start.choice));
  const whole = (bytes: Uint8Array) => bytes.length % 4 === 0;
  if (choices.length === 0 || numbers.size !== choices.length) return false;
  return whole(prompt) && choices.every((start) => whole(start.delivered));
}

/** The same request of one choice, with the next token of its answer delivered. */
export function goesOnBehind(generate: Generate, token: number): Generate {
  const choices = generate.choices.map((start) => {
    const delivered = new Uint8Array(start.delivered.length + 4);
    delivered.set(start.delivered);
    delivered.set(bytesOf(Uint32Array.of(token)), start.delivered.length);
    return { ...start, delivered, max_tokens: start.max_tokens - 1 };
  });
  return { ...generate, choices };
}

/** One engine request for each choice that is to be made, in the order of `generate.choices`. */
export function engineRequests(
  generate: Generate,
  sampling: SamplingParams,
  nextHandle: () => number,
): readonly EngineRequest[] {
  const prompt = tokensOf(generate.prompt);
  const drawn = samplingOf(sampling);
  const predicted = generate.predicted && tokensOf(generate.predicted);
  const open = generate.choices.filter((start) => start.ended === undefined);
  return open.map((start) => ({
    handle: nextHandle(),
    ...tokensAndScores(prompt, start),
    prompt_tokens: prompt.length,
    choice: start.choice,
    sampling: drawn,
    max_tokens: start.max_tokens,
    min_tokens: generate.min_tokens,
    stop_tokens: generate.stop_tokens,
    ignore_eos: generate.ignore_eos,
    logprobs: generate.logprobs,
    ...(generate.adapter === undefined ? {} : { adapter: generate.adapter }),
    ...(generate.salt === undefined ? {} : { salt: generate.salt }),
    ...(generate.owner === undefined ? {} : { owner: generate.owner }),
    ...(predicted === undefined ? {} : { predicted }),
    ...(generate.constraint === undefined ? {} : { constraint: generate.constraint }),
  }));
}

/** Scores that are delivered are not made again; they stand before the delivered answer. */
function tokensAndScores(prompt: Uint32Array, { delivered, scores }: ChoiceStart) {
  if (delivered.length === 0)
    return scores ? { tokens: prompt, scores_from: 0 } : { tokens: prompt };
  const known = tokensOf(delivered);
  if (!scores) return { tokens: joined(prompt, known) };
  const scores_from = Math.min(known.length, prompt.length - 1);
  return { tokens: joined(prompt, known.subarray(scores_from)), scores_from };
}

function samplingOf(wire: SamplingParams): Sampling {
  return {
    temperature: wire.temperature,
    top_k: wire.top_k,
    top_p: wire.top_p,
    min_p: wire.min_p,
    typical_p: wire.typical_p,
    repetition_penalty: wire.repetition_penalty,
    frequency_penalty: wire.frequency_penalty,
    presence_penalty: wire.presence_penalty,
    logit_bias: wire.logit_bias.map(({ token, bias }) => [token, bias] as const),
    seed: u64Of(wire.seed),
  };
}

function joined(a: Uint32Array, b: Uint32Array): Uint32Array {
  const both = new Uint32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

export function wireLogprobs(
  logprobs: readonly TokenLogprob[] | undefined,
): readonly WireLogprob[] {
  if (logprobs === undefined) return [];
  return logprobs.map(wireLogprob);
}

function wireLogprob({ logprob, top, rank }: TokenLogprob): WireLogprob {
  return {
    logprob,
    top_tokens: top.map(([token]) => token),
    top_logprobs: top.map(([, of_token]) => of_token),
    ...(rank === undefined ? {} : { rank }),
  };
}

export function wireFinished(
  event: Extract<EngineEvent, { kind: "finished" }>,
  choice: number,
  total_tokens: number,
): Finished {
  return {
    choice,
    reason: event.reason,
    stop_token: event.stop_token ?? -1,
    ...(event.stop_logprob === undefined ? {} : { stop_logprob: wireLogprob(event.stop_logprob) }),
    prompt_tokens: event.prompt_tokens,
    cached_tokens: event.cached_tokens,
    total_tokens,
    error: event.error ?? "",
    ...(event.drafts === undefined ? {} : { drafts: event.drafts }),
  };
}
