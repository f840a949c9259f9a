/** Every field of POST /inference/v1/generate: vLLM's route for tokens in and tokens out. */
import { z } from "zod";
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import { formFields } from "../form-fields.ts";
import { nvextField } from "../nvext-fields.ts";
import {
  count,
  type Fields,
  ignored,
  just,
  objectOf,
  refused,
  samplingFields,
  tokenIds,
  used,
} from "../request-fields.ts";

/** vLLM's own default. */
export const GENERATE_TOKENS = 16;

const NO_TEXT = "Answers are token ids.";

/** Every field inside of `sampling_params`. */
export const generateSamplingFields = {
  n: samplingFields.n,
  temperature: samplingFields.temperature,
  top_p: samplingFields.top_p,
  top_k: samplingFields.top_k,
  min_p: samplingFields.min_p,
  typical_p: samplingFields.typical_p,
  repetition_penalty: samplingFields.repetition_penalty,
  frequency_penalty: samplingFields.frequency_penalty,
  presence_penalty: samplingFields.presence_penalty,
  logit_bias: samplingFields.logit_bias,
  seed: samplingFields.seed,
  stop: samplingFields.stop,
  stop_token_ids: samplingFields.stop_token_ids,
  include_stop_str_in_output: used(
    z.boolean().nullish(),
    "Keep the tokens of the stop string that ended the answer.",
  ),
  min_tokens: samplingFields.min_tokens,
  ignore_eos: samplingFields.ignore_eos,
  max_tokens: used(
    count(1).nullish(),
    `Most tokens of one answer. Default ${GENERATE_TOKENS}, as in vLLM.`,
  ),
  logprobs: used(
    count(0, requestLimits.top_logprobs).nullish(),
    `0–${requestLimits.top_logprobs}: the chosen token's and that many likeliest ones'.`,
  ),
  detokenize: ignored(NO_TEXT),
  skip_special_tokens: ignored(NO_TEXT),
  spaces_between_special_tokens: ignored(NO_TEXT),
  allowed_token_ids: samplingFields.allowed_token_ids,
  bad_words: refused("Words cannot be banned; `logit_bias` with -100 bans a single token."),
  prompt_logprobs: samplingFields.prompt_logprobs,
  logprob_token_ids: refused("Log probabilities are given for the likeliest tokens."),
  flat_logprobs: refused("Log probabilities have the form of chats.", just(false)),
  structured_outputs: formFields.structured_outputs,
  thinking_token_budget: refused("Reasoning is not told apart in tokens."),
  repetition_detection: refused("Repetitions end no answer; `repetition_penalty` makes them rare."),
  extra_args: refused("Engines take no arguments of their own."),
  vllm_xargs: refused("Engines take no arguments of their own."),
} as const satisfies Fields;

const samplingShape = objectOf(generateSamplingFields);

export const generateFields = {
  model: used(
    z.string().min(1).nullish(),
    "Served name of the model; `/v1/models` lists them. May be left out while there is one.",
  ),
  token_ids: used(tokenIds, "The prompt, at least one token id."),
  sampling_params: used(samplingShape, "How tokens are drawn and when the answer ends: see below."),
  stream: samplingFields.stream,
  stream_options: used(
    z.object({ include_usage: z.boolean().nullish() }).nullish(),
    "`include_usage` adds a last event with usage. Only with `stream`.",
  ),
  nvext: nvextField,
  request_id: ignored("The server names requests itself; the header `X-Request-Id` is echoed."),
  cache_salt: samplingFields.cache_salt,
  priority: refused("The header `x-dynamo-request-priority` says it.", just(0)),
  features: refused("Only tokens of text are read."),
  content_parts: refused("Only tokens of text are read."),
  kv_transfer_params: refused("Workers themselves find what their caches hold."),
  ec_transfer_params: refused("Workers themselves find what their caches hold."),
} as const satisfies Fields;

export const generateShape = objectOf(generateFields);
export type GenerateBody = z.infer<typeof generateShape>;
