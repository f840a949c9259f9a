import { configNumber, isTokenId, type Json, objectOf } from "./json-values.ts";
import type { TokenTable } from "./token-table.ts";

/** Files beside tokenizer.json; an empty object for a missing one. */
export type TokenizerSettings = {
  readonly tokenizer_config: Json;
  readonly config: Json;
  readonly generation_config: Json;
};

export type NamedTokens = {
  /** Under the keys that a GGUF has for them. */
  readonly ids: readonly (readonly [string, number])[];
  /** All that generation ends at, whatever their spelling. */
  readonly end_ids: readonly number[];
  readonly add_bos: boolean | undefined;
  readonly add_eos: boolean | undefined;
};

const K = "tokenizer.ggml.";
const encoder = new TextEncoder();

/** By spelling in tokenizer_config.json, else by id in config.json or generation_config.json. */
export function namedTokens(
  post_processor: Json,
  settings: TokenizerSettings,
  tokens: TokenTable,
): NamedTokens {
  const { tokenizer_config, config, generation_config } = settings;
  const { first, last } = templateEnds(post_processor);
  const bos_text = spellingOf(tokenizer_config["bos_token"]) ?? first;
  const eos_text = spellingOf(tokenizer_config["eos_token"]) ?? last;
  const idOf = (name: string, text: string | undefined): number | undefined => {
    const bytes = encoder.encode(text ?? "");
    const spelled = text === undefined ? -1 : tokens.find(bytes, 0, bytes.length);
    if (spelled >= 0) return spelled;
    const key = `${name}_token_id`;
    return configNumber(config, key) ?? listOf(generation_config[key])[0];
  };
  const spelling = (name: string): string | undefined =>
    spellingOf(tokenizer_config[`${name}_token`]);
  const named = [
    ["bos", idOf("bos", bos_text)],
    ["eos", idOf("eos", eos_text)],
    ["unknown", idOf("unk", spelling("unk"))],
    ["padding", idOf("pad", spelling("pad"))],
    ["seperator", idOf("sep", spelling("sep"))], // the format's own spelling
  ] as const;
  const ids = named.flatMap(([name, id]) =>
    id === undefined ? [] : [[`${K}${name}_token_id`, id] as const],
  );
  const end_ids = [
    ...listOf(config["eos_token_id"]),
    ...listOf(objectOf(config["text_config"])["eos_token_id"]),
    ...listOf(generation_config["eos_token_id"]),
  ];
  return {
    ids,
    end_ids,
    add_bos: flagOf(tokenizer_config, "add_bos_token", first, bos_text),
    add_eos: flagOf(tokenizer_config, "add_eos_token", last, eos_text),
  };
}

function flagOf(
  tokenizer_config: Json,
  key: string,
  added: string | undefined,
  text: string | undefined,
): boolean | undefined {
  const stated = tokenizer_config[key];
  if (typeof stated === "boolean") return stated;
  return added === undefined ? undefined : added === text;
}

/** Spellings that the template for one text puts before and behind it. */
function templateEnds(post_processor: Json): { first?: string; last?: string } {
  const { processors } = post_processor;
  const steps = Array.isArray(processors) ? processors.map(objectOf) : [post_processor];
  for (const { type, cls, sep } of steps) {
    if (type !== "BertProcessing" && type !== "RobertaProcessing") continue;
    return { ...ofPair("first", cls), ...ofPair("last", sep) };
  }
  const single = steps.find((step) => step["type"] === "TemplateProcessing")?.["single"];
  if (!Array.isArray(single) || single.length < 2) return {};
  const spelled = (entry: unknown): string | undefined => {
    const id = objectOf(objectOf(entry)["SpecialToken"])["id"];
    return typeof id === "string" ? id : undefined;
  };
  return { first: spelled(single[0]), last: spelled(single.at(-1)) };
}

/** A token beside its id. */
function ofPair(name: "first" | "last", pair: unknown): { first?: string; last?: string } {
  const text: unknown = Array.isArray(pair) ? pair[0] : undefined;
  return typeof text === "string" ? { [name]: text } : {};
}

/** A special token in tokenizer_config.json is a text or an object around one. */
function spellingOf(value: unknown): string | undefined {
  const text = typeof value === "string" ? value : objectOf(value)["content"];
  return typeof text === "string" && text !== "" ? text : undefined;
}

function listOf(value: unknown): number[] {
  return (Array.isArray(value) ? value : [value]).filter(isTokenId);
}
