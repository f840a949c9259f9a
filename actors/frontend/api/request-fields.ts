/**
 * The form in which every request field is written down once: what happens to it, its shape and
 * one line for docs/api.md. Validation, the OpenAPI page and the test of docs/api.md read it.
 */
import { z } from "zod";
import { requestLimits } from "../../../llm/model/request-limits.ts";

export type Treatment = "used" | "ignored" | "refused";

export type Field<S extends z.ZodType = z.ZodType> = {
  readonly treatment: Treatment;
  readonly shape: S;
  /** Plain words, as they stand in docs/api.md. */
  readonly note: string;
  /** Longest array, or most keys of an object, that is looked at; no limit without. */
  readonly items_max?: number;
  /** A refused field is still let through while its value asks for nothing. */
  readonly harmless?: Harmless;
};

export type Harmless = {
  readonly is: (value: unknown) => boolean;
  /** A harmless value as a client writes it. */
  readonly as: string;
};

/** One value that asks for nothing; every other value is refused. */
export const just = (harmless: string | number | boolean): Harmless => ({
  is: (value) => value === harmless,
  as: JSON.stringify(harmless),
});

export const emptyList: Harmless = {
  is: (value) => Array.isArray(value) && value.length === 0,
  as: "[]",
};

export const plainText: Harmless = {
  is: (value) => (value as { type?: unknown } | null)?.type === "text",
  as: '{"type": "text"}',
};

export type Fields = Readonly<Record<string, Field>>;

/** Every name that a request may hold: those of its body, and those of the objects inside. */
export type FieldTables = { readonly fields: Fields; readonly nested: readonly NestedFields[] };

export type NestedFields = {
  /** The field of the body whose value holds them. */
  readonly name: string;
  readonly fields: Fields;
  /** The value is a list of such objects; false: it is one. */
  readonly is_list: boolean;
  /** Unknown names are passed over whatever the server's setting says. */
  readonly ignores_unknown: boolean;
};

export type ShapesOf<F extends Fields> = { [K in keyof F]: F[K]["shape"] };

/**
 * The field changes the answer. `items_max` is checked before the shape, as zod would look at (and
 * complain about) each of a million items.
 */
export function used<S extends z.ZodType>(shape: S, note: string, items_max?: number): Field<S> {
  return items_max === undefined
    ? { treatment: "used", shape, note }
    : { treatment: "used", shape, note, items_max };
}

const anything = z.unknown().optional();

/** The field cannot change the answer here; its shape is not looked at. */
export function ignored(note: string): Field<typeof anything> {
  return { treatment: "ignored", shape: anything, note };
}

/**
 * The field asks for what does not exist; 400 names it, unless its value is null or harmless.
 * `note` says why in whole sentences, without words of the code, as the error holds it.
 */
export function refused(note: string, harmless?: Harmless): Field<typeof anything> {
  const field = { treatment: "refused" as const, shape: anything, note };
  return harmless === undefined ? field : { ...field, harmless };
}

/** A zod object of the fields that are used; the others are judged by `checkNames`, not by zod. */
export function objectOf<F extends Fields>(fields: F): z.ZodObject<ShapesOf<F>> {
  const shapes: Record<string, z.ZodType> = {};
  for (const [name, field] of Object.entries(fields)) {
    if (field.treatment === "used") shapes[name] = field.shape;
  }
  return z.object(shapes) as unknown as z.ZodObject<ShapesOf<F>>;
}

/** A number within bounds; null counts as absent, as everywhere in OpenAI's requests. */
export const number = (minimum: number, maximum: number) => z.number().min(minimum).max(maximum);

/** A whole number small enough to count tokens with. */
export const count = (minimum: number, maximum = 1_000_000_000) =>
  z.int().min(minimum).max(maximum);

const WHOLE_LIMIT = 2 ** 64;

/** A 64-bit whole number, of either sign: JSON rounds the large ones, which is harmless here. */
export const whole64 = z
  .number()
  .refine((value) => Number.isInteger(value) && Math.abs(value) <= WHOLE_LIMIT, {
    error: "expected a whole number of at most 64 bits",
  })
  .meta({ format: "int64" });

/** Token ids; checked in one loop, as a long prompt holds tens of thousands of them. */
export const tokenIds = z
  .custom<readonly number[]>(isTokenIds, { error: "expected an array of token ids" })
  .meta({ type: "array", items: { type: "integer", minimum: 0 } });

export function isTokenIds(value: unknown): value is readonly number[] {
  if (!Array.isArray(value)) return false;
  for (let i = 0; i < value.length; i += 1) {
    const id: unknown = value[i];
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > 0xffff_ffff) return false;
  }
  return true;
}

export type PromptInput =
  | string
  | readonly string[]
  | readonly number[]
  | readonly (readonly number[])[];

/** Text, token ids, or a list of either: `prompt` of completions and `input` of embeddings. */
export const promptInput = z
  .custom<PromptInput>(isPromptInput, {
    error: "expected a string, an array of strings, of token ids or of arrays of token ids",
  })
  .meta({
    anyOf: [
      { type: "string" },
      { type: "array", items: { type: "string" } },
      { type: "array", items: { type: "integer", minimum: 0 } },
      { type: "array", items: { type: "array", items: { type: "integer", minimum: 0 } } },
    ],
  });

function isPromptInput(value: unknown): value is PromptInput {
  if (typeof value === "string") return true;
  if (!Array.isArray(value)) return false;
  if (typeof value[0] === "string") return value.every((item) => typeof item === "string");
  return Array.isArray(value[0]) ? value.every(isTokenIds) : isTokenIds(value);
}

const stopItem = z.union([z.string(), count(0, 0xffff_ffff)], {
  error: "expected a string or a token id",
});
const tokenName = z.string().regex(/^\d{1,10}$/, { error: "it must be a token id" });

export type Json = Readonly<Record<string, unknown>>;

export const isJsonObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A JSON object that is not looked into here: it is read by hand, or passed on as it is. */
export const jsonObject = z
  .custom<Json>(isJsonObject, { error: "expected a JSON object" })
  .meta({ type: "object" });

/** How many calls of functions an answer may have, in chats and responses. */
export const parallelCallsField = used(
  z.boolean().nullish(),
  "`false`: at most one call; with `tool_choice` `required` exactly one. Default true.",
);

/** As vLLM has it, in characters. */
const SALT_CHARS_MAX = 256;

/** vLLM's field, and Dynamo's in `nvext`. */
export const saltField = used(
  z.string().min(1).max(SALT_CHARS_MAX).nullish(),
  `Cached prefixes are shared only with requests of the same salt. At most ${SALT_CHARS_MAX} characters.`,
);

/** Fields that all dialects with sampled answers have in common. Limits: Dynamo's protocols/openai/validate.rs. */
export const samplingFields = {
  model: used(z.string().min(1), "Served name of the model; `/v1/models` lists them."),
  n: used(
    count(1, requestLimits.answers).nullish(),
    `Answers per prompt, 1–${requestLimits.answers}. With \`temperature\` 0 they are equal: one is made, all are counted.`,
  ),
  stream: used(z.boolean().nullish(), "Server-sent events instead of one JSON body."),
  stream_options: used(
    z.object({ include_usage: z.boolean().nullish(), include_obfuscation: anything }).nullish(),
    "`include_usage` adds a last chunk with usage. Only with `stream`. `include_obfuscation` is ignored.",
  ),
  temperature: used(
    number(0, 2).nullish(),
    "0–2; 0 is greedy. Default: the model's own generation default, else 1.",
  ),
  top_p: used(number(0, 1).nullish(), "0–1. Default: the model's own, else 1."),
  top_k: used(
    z.int().min(-1).max(1_000_000_000).nullish(),
    "-1 or 0 switch it off. Default: the model's own, else off.",
  ),
  min_p: used(number(0, 1).nullish(), "0–1. Default: the model's own, else 0 (off)."),
  typical_p: used(
    z.number().gt(0).max(1).nullish(),
    "Above 0, up to 1. Default: the model's own, else 1 (off).",
  ),
  repetition_penalty: used(
    z.number().gt(0).max(2).nullish(),
    "Above 0, up to 2; over prompt and answer. Default: the model's own, else 1 (off).",
  ),
  frequency_penalty: used(number(-2, 2).nullish(), "-2–2; over the answer."),
  presence_penalty: used(number(-2, 2).nullish(), "-2–2; over the answer."),
  logit_bias: used(
    z.record(tokenName, number(-100, 100)).nullish(),
    `Token id → bias, -100–100; at most ${requestLimits.logit_bias}. ` +
      "An id outside the vocabulary is a 400.",
    requestLimits.logit_bias,
  ),
  seed: used(
    whole64.nullish(),
    "The same seed gives the same draws. Drawn by the server when absent. A real model's logits " +
      "differ in the last bits with the batch that a request is in, so a sampled text may differ " +
      "where two tokens are close; the mocker's is always the same.",
  ),
  stop: used(
    z
      .union([z.string(), z.array(stopItem)], {
        error: "expected a string or an array of strings or token ids",
      })
      .nullish(),
    `A string, or up to ${requestLimits.stop} strings or token ids; strings of at most ` +
      `${requestLimits.stop_chars} characters. Not part of the answer. Empty strings are ignored.`,
    requestLimits.stop,
  ),
  stop_token_ids: used(
    tokenIds.nullish(),
    "Token ids that end the answer, beside the model's own; at most " +
      `${requestLimits.stop_token_ids}.`,
    requestLimits.stop_token_ids,
  ),
  include_stop_str_in_output: used(
    z.boolean().nullish(),
    "Keep the stop string that ended the answer in its text.",
  ),
  min_tokens: used(count(0).nullish(), "No stop token before this many tokens; ≤ `max_tokens`."),
  ignore_eos: used(z.boolean().nullish(), "Go on past the model's end token, up to `max_tokens`."),
  user: used(
    z
      .string()
      .refine((text) => text.trim() !== "", { error: "must not be blank" })
      .nullish(),
    "Checked (not blank), then ignored.",
  ),
  cache_salt: saltField,
  allowed_token_ids: refused(
    "Answers cannot be limited to a list of tokens; `logit_bias` favours or bans single ones.",
  ),
  bad_words_token_ids: refused(
    "Sequences of tokens cannot be banned; `logit_bias` with -100 bans a single token.",
  ),
  detokenize: refused("Answers are always text.", just(true)),
  length_penalty: refused("There is no beam search.", just(1)),
  use_beam_search: refused("There is no beam search.", just(false)),
  prompt_logprobs: used(
    count(0, requestLimits.top_logprobs).nullish(),
    `0–${requestLimits.top_logprobs}: of every prompt token but the first its log probability and ` +
      "rank, and those of that many likeliest ones, in vLLM's form. At most " +
      `${requestLimits.prompt_scores} in one answer. Not with \`stream\`.`,
  ),
  return_tokens_as_token_ids: refused("Tokens are shown as text.", just(false)),
} as const satisfies Fields;

const samplingShape = objectOf(samplingFields);
export type SamplingBody = z.infer<typeof samplingShape>;
