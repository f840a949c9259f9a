/** The sampling half of a request: client's values, else the model's defaults, else neutral. */
import { requestLimits } from "../../../llm/model/request-limits.ts";
import type { LogitBias, SamplingParams } from "../../../proto/index.ts";
import type { Random } from "../../../runtime/capabilities.ts";
import { ApiError, contextOverflow, invalidValue } from "../api/api-error.ts";
import type { SamplingBody } from "../api/request-fields.ts";
import type { ServedModel } from "../models/served-model.ts";
import type { PrepareContext } from "./prepare-context.ts";
import { checkText } from "./prompt-text.ts";

export function samplingOf(
  body: SamplingBody,
  model: ServedModel,
  { random, greedy }: Pick<PrepareContext, "random" | "greedy">,
): SamplingParams {
  const { defaults } = model;
  return {
    temperature: greedy === true ? 0 : (body.temperature ?? defaults.temperature ?? 1),
    top_k: Math.max(0, body.top_k ?? defaults.top_k ?? 0),
    top_p: body.top_p ?? defaults.top_p ?? 1,
    min_p: body.min_p ?? defaults.min_p ?? 0,
    typical_p: body.typical_p ?? defaults.typical_p ?? 1,
    repetition_penalty: body.repetition_penalty ?? defaults.repetition_penalty ?? 1,
    frequency_penalty: body.frequency_penalty ?? 0,
    presence_penalty: body.presence_penalty ?? 0,
    logit_bias: logitBias(body.logit_bias, model),
    seed: seedBytes(body.seed, random),
  };
}

function logitBias(given: SamplingBody["logit_bias"], model: ServedModel): readonly LogitBias[] {
  if (given == null) return [];
  const vocabulary = model.tokenizer.vocab_size;
  // "5" and "05" are one token. Its last value counts, as an engine takes each token once.
  const by_token = new Map<number, number>();
  for (const [key, bias] of Object.entries(given)) {
    const token = Number(key);
    if (token >= vocabulary) {
      throw invalidValue(
        `'logit_bias' names token ${key}, but the vocabulary ends at ${vocabulary - 1}.`,
        "logit_bias",
      );
    }
    by_token.set(token, bias);
  }
  return [...by_token].map(([token, bias]) => ({ token, bias }));
}

/** u64, little endian. Negative seeds wrap, as a cast would. */
export function seedBytes(seed: number | null | undefined, random: Random): Uint8Array {
  const value = seed == null ? random.u64() : BigInt.asUintN(64, BigInt(seed));
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

export type Stops = { readonly strings: readonly string[]; readonly tokens: readonly number[] };

/**
 * Throws ApiError (400) for an unknown token id. Empty stop strings are
 * passed over: forms send them for a field that was left empty.
 */
export function stopsOf(body: SamplingBody, model: ServedModel): Stops {
  const { stop } = body;
  const strings: string[] = [];
  const tokens: number[] = [];
  const list = stop == null ? [] : typeof stop === "string" ? [stop] : stop;
  list.forEach((item, i) => {
    const param = typeof stop === "string" ? "stop" : `stop[${i}]`;
    if (typeof item === "number") tokens.push(checkToken(item, model, param));
    else if (item !== "") strings.push(checkStop(item, param));
  });
  for (const token of body.stop_token_ids ?? []) {
    tokens.push(checkToken(token, model, "stop_token_ids"));
  }
  return { strings, tokens };
}

function checkStop(text: string, param: string): string {
  const most = requestLimits.stop_chars;
  if (text.length <= most) return checkText(text, param);
  throw invalidValue(
    `'${param}' has ${text.length} characters; a stop string has at most ${most}.`,
    param,
  );
}

function checkToken(token: number, model: ServedModel, param: string): number {
  const vocabulary = model.tokenizer.vocab_size;
  if (token < vocabulary) return token;
  throw invalidValue(
    `'${param}' names token ${token}, but the vocabulary ends at ${vocabulary - 1}.`,
    param,
  );
}

/** The part of an answer that says when it ends. Throws ApiError (400). */
export function stoppingOf(body: SamplingBody, model: ServedModel, max_tokens: number) {
  const min_tokens = body.min_tokens ?? 0;
  if (min_tokens > max_tokens) {
    throw invalidValue(
      `'min_tokens' is ${min_tokens}, but the answer may have ${max_tokens} tokens at most. ` +
        "Lower it, or raise 'max_tokens'.",
      "min_tokens",
    );
  }
  const stops = stopsOf(body, model);
  return {
    min_tokens,
    stop_tokens: stops.tokens,
    stop_strings: stops.strings,
    include_stop: body.include_stop_str_in_output ?? false,
    ignore_eos: body.ignore_eos ?? false,
  };
}

/** The part of an answer that says whose cached blocks it shares. Throws ApiError (400). */
export function saltOf(
  body: Pick<SamplingBody, "cache_salt">,
  { name, card }: ServedModel,
  ctx: Pick<PrepareContext, "salt">,
): { readonly salt?: string } {
  const salt = body.cache_salt ?? ctx.salt;
  if (salt === undefined) return {};
  if (card.capabilities?.salts === true) return { salt };
  const param = body.cache_salt == null ? "nvext.cache_salt" : "cache_salt";
  throw new ApiError(
    400,
    "not_supported",
    `'${param}' is not supported: the engine of '${name}' (${card.engine}) does not keep cached ` +
      "prefixes apart. Leave the field out, or use a model of another engine.",
    param,
  );
}

/** Rules between fields. Limits: Dynamo's protocols/openai/validate.rs. */
export function checkTogether(body: SamplingBody, prompts: number, made_each: number): void {
  if (body.stream_options != null && body.stream !== true) {
    throw invalidValue(
      "'stream_options' is only for 'stream': true. Leave it out, or ask for a stream.",
      "stream_options",
    );
  }
  if (prompts * made_each > requestLimits.answers) {
    throw invalidValue(
      `${prompts} prompts × ${made_each} answers are ${prompts * made_each}; ` +
        `at most ${requestLimits.answers} go into one request.`,
      "n",
    );
  }
}

/**
 * How many tokens an answer may take: what the client wants, else `fallback` or what is left of the
 * context. Throws ApiError (400) when prompt and answer do not fit together.
 */
export function answerBudget(
  model: ServedModel,
  prompt_tokens: number,
  wanted: number | undefined,
  fallback: number,
  param: string,
): number {
  const context = model.card.context_length;
  const rest = context - prompt_tokens;
  if (rest < (wanted ?? 1)) throw contextOverflow(context, prompt_tokens, wanted ?? 1, param);
  return wanted ?? Math.min(rest, fallback);
}
