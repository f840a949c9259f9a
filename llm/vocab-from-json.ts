import type { GgufValue } from "./gguf.ts";
import { JsonCursor } from "./json-cursor.ts";
import { preTokenizerOfJson } from "./json-pre-tokenizers.ts";
import { MergeBuilder } from "./merge-builder.ts";
import { preTokenizer } from "./pre-tokenizers.ts";
import { resolveSpecials } from "./special-ids.ts";
import { type TokenTable, TokenTableBuilder } from "./token-table.ts";
import * as attr from "./vocab.ts";
import { type Vocab, VocabError, type VocabFlags } from "./vocab.ts";

export type Json = Readonly<Record<string, unknown>>;

/** What stands beside tokenizer.json; an empty object where there is no such file. */
export type TokenizerSettings = {
  readonly tokenizer_config: Json;
  readonly config: Json;
  readonly generation_config: Json;
};

type AddedToken = {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
};

/** tokenizer.json with its two big parts still unread. */
type Parts = {
  readonly model: Json;
  readonly vocab: JsonCursor;
  readonly merges: JsonCursor;
  readonly added: readonly AddedToken[];
  readonly nfc: boolean;
  readonly pre_tokenizer: unknown;
  readonly post_processor: Json;
};

const FILE = "tokenizer.json";
/** No model has a tenth of that: a file that says so is damaged. */
const MAX_TOKENS = 4_000_000;
const K = "tokenizer.ggml.";
const encoder = new TextEncoder();

/**
 * The vocabulary in a Hugging Face `tokenizer.json` (byte-level BPE), as a GGUF converted from the
 * same files would hold it, with two differences: the file's own Unicode normalization and the
 * blanks that its special tokens eat are kept. Throws VocabError when it is of no use here.
 * Source: `conversion/base.py` (`get_vocab_base`) and `gguf-py/gguf/vocab.py` of llama.cpp (MIT).
 */
export function vocabFromTokenizerJson(bytes: Uint8Array, settings: TokenizerSettings): Vocab {
  const parts = readParts(bytes);
  const ignore_merges = parts.model["ignore_merges"] === true;
  const pre = preTokenizerOfJson(parts.pre_tokenizer, ignore_merges);
  const { tokens, attrs } = readTokens(parts, vocabSize(settings.config));
  const specials = namedTokens(parts, settings, tokens);
  const metadata = new Map<string, GgufValue>(specials.ids);
  const found = resolveSpecials(metadata, tokens, attrs, {});
  const eog = new Set([...found.eog, ...specials.end_ids.filter((id) => id < tokens.count)]);
  const flags: VocabFlags = {
    add_bos: specials.add_bos ?? preTokenizer(pre)?.add_bos === true,
    add_eos: specials.add_eos ?? false,
    add_space_prefix: false,
    ignore_merges,
    escape_spaces: false,
    byte_alphabet: true,
    nfc: parts.nfc,
  };
  return {
    kind: "bpe",
    pre,
    ...readMerges(parts.merges, tokens),
    token_count: tokens.count,
    attrs,
    scores: new Float32Array(0),
    flags,
    special: { ...found, eog: [...eog].sort((a, b) => a - b) },
  };
}

/** Of a model with several parts the text part's. */
export function configNumber(config: Json, key: string): number | undefined {
  for (const part of [config, objectOf(config["text_config"])]) {
    const value = part[key];
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  }
  return undefined;
}

export function objectOf(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Json)
    : {};
}

function vocabSize(config: Json): number {
  const size = configNumber(config, "vocab_size") ?? 0;
  return size > MAX_TOKENS ? 0 : size;
}

function readParts(bytes: Uint8Array): Parts {
  const file = new JsonCursor(FILE, bytes);
  const root: Record<string, unknown> = {};
  const model: Record<string, unknown> = {};
  let vocab: JsonCursor | undefined;
  let merges: JsonCursor | undefined;
  file.object(() => {
    const key = file.text();
    if (key !== "model") {
      root[key] = file.value();
      return;
    }
    file.object(() => {
      const name = file.text();
      if (name === "vocab") vocab = file.later();
      else if (name === "merges") merges = file.later();
      else model[name] = file.value();
    });
  });
  file.end();
  requireByteLevelBpe(model);
  if (vocab === undefined || merges === undefined) {
    throw new VocabError("vocab_missing", `${FILE} has no vocabulary: get the model's files again`);
  }
  return {
    model,
    vocab,
    merges,
    added: readAdded(root["added_tokens"]),
    nfc: isNfc(root["normalizer"]),
    pre_tokenizer: root["pre_tokenizer"],
    post_processor: objectOf(root["post_processor"]),
  };
}

function requireByteLevelBpe(model: Json): void {
  const type = model["type"];
  if (type !== undefined && type !== "BPE") throw unsupported(`its model is ${String(type)}`);
  if (model["byte_fallback"] === true) throw unsupported("it is a SentencePiece vocabulary");
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    const value = model[key];
    if (typeof value === "string" && value !== "") throw unsupported(`${key} is "${value}"`);
  }
}

function isNfc(normalizer: unknown): boolean {
  const { type, normalizers } = objectOf(normalizer);
  if (type === undefined) return false;
  if (type === "NFC") return true;
  if (type !== "Sequence" || !Array.isArray(normalizers)) {
    throw unsupported(`its normalizer is ${String(type)}`);
  }
  return normalizers.map(isNfc).some((nfc) => nfc);
}

function readAdded(value: unknown): AddedToken[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry: unknown) => {
    const { id, content, special, lstrip, rstrip, single_word } = objectOf(entry);
    if (!isTokenId(id) || typeof content !== "string") throw corrupt("an added token has no id");
    if (single_word === true) throw unsupported(`"${content}" is a token as a whole word only`);
    const looks_special = special === true || looksSpecial(content);
    return {
      id,
      content,
      special: looks_special,
      lstrip: lstrip === true,
      rstrip: rstrip === true,
    };
  });
}

/** Some files do not mark tokens that only templates write. Source: `does_token_look_special`. */
function looksSpecial(content: string): boolean {
  if (["<pad>", "<mask>", "<2mass>", "[@BOS@]"].includes(content)) return true;
  return /^(<\|.*\|>|<｜.*｜>|<unused.*>)$/s.test(content);
}

function isTokenId(id: unknown): id is number {
  return typeof id === "number" && Number.isInteger(id) && id >= 0 && id < MAX_TOKENS;
}

/** Spans of the tokens by id, then the table; ids that nobody names are `[PAD…]` and unused. */
function readTokens(parts: Parts, least_count: number): { tokens: TokenTable; attrs: Uint16Array } {
  const texts: Uint8Array[] = [];
  let total_bytes = 0;
  const { vocab } = parts;
  vocab.object(() => {
    const text = vocab.string_bytes.subarray(vocab.string_start, vocab.string_end);
    const id = vocab.whole();
    if (!isTokenId(id)) throw corrupt(`a token has the id ${id}`);
    if (texts[id] !== undefined) throw corrupt(`two tokens have the id ${id}`);
    texts[id] = text;
    total_bytes += text.length;
  });
  for (const { id, content } of parts.added) texts[id] = encoder.encode(content);
  const count = Math.max(texts.length, least_count);
  const builder = new TokenTableBuilder(total_bytes + 16 * parts.added.length);
  const attrs = new Uint16Array(count).fill(attr.ATTR_NORMAL);
  for (let id = 0; id < count; id++) {
    const text = texts[id];
    if (text === undefined) attrs[id] = attr.ATTR_UNUSED;
    builder.add(text ?? encoder.encode(`[PAD${id}]`));
  }
  for (const { id, special, lstrip, rstrip } of parts.added) {
    attrs[id] = special ? attr.ATTR_CONTROL : attr.ATTR_USER_DEFINED;
    if (lstrip) attrs[id] |= attr.ATTR_LSTRIP;
    if (rstrip) attrs[id] |= attr.ATTR_RSTRIP;
  }
  return { tokens: builder.build(), attrs };
}

function readMerges(
  cursor: JsonCursor,
  tokens: TokenTable,
): { table: TokenTable; merges: Uint32Array } {
  const builder = new MergeBuilder(tokens);
  let pair = new Uint8Array(256);
  cursor.array(() => {
    if (!cursor.atArray()) {
      cursor.string();
      builder.addLine(cursor.string_bytes, cursor.string_start, cursor.string_end);
      return;
    }
    let length = 0;
    let middle = 0;
    let parts = 0;
    cursor.array(() => {
      cursor.string();
      const part = cursor.string_bytes.subarray(cursor.string_start, cursor.string_end);
      if (length + part.length > pair.length) pair = grown(pair, length + part.length);
      pair.set(part, length);
      middle = length;
      length += part.length;
      parts++;
    });
    if (parts !== 2) throw corrupt("a merge is no pair");
    builder.add(pair, 0, middle, 0, length);
  });
  return builder.build();
}

function grown(bytes: Uint8Array, least: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(2 * least);
  larger.set(bytes);
  return larger;
}

type NamedTokens = {
  /** Under the keys that a GGUF has for them. */
  readonly ids: readonly (readonly [string, number])[];
  /** All that generation ends at, whatever their spelling. */
  readonly end_ids: readonly number[];
  readonly add_bos: boolean | undefined;
  readonly add_eos: boolean | undefined;
};

/** By spelling in tokenizer_config.json, else by id in config.json, else in generation_config.json. */
function namedTokens(parts: Parts, settings: TokenizerSettings, tokens: TokenTable): NamedTokens {
  const { tokenizer_config, config, generation_config } = settings;
  const { first, last } = templateEnds(parts.post_processor);
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
  const single = steps.find((step) => step["type"] === "TemplateProcessing")?.["single"];
  if (!Array.isArray(single) || single.length < 2) return {};
  const spelled = (entry: unknown): string | undefined => {
    const id = objectOf(objectOf(entry)["SpecialToken"])["id"];
    return typeof id === "string" ? id : undefined;
  };
  return { first: spelled(single[0]), last: spelled(single.at(-1)) };
}

/** A special token in tokenizer_config.json is a text or an object around one. */
function spellingOf(value: unknown): string | undefined {
  const text = typeof value === "string" ? value : objectOf(value)["content"];
  return typeof text === "string" && text !== "" ? text : undefined;
}

function listOf(value: unknown): number[] {
  return (Array.isArray(value) ? value : [value]).filter(isTokenId);
}

function unsupported(what: string): VocabError {
  const advice = "a byte-level BPE vocabulary is needed, or a GGUF of the model";
  return new VocabError("vocab_unsupported", `${FILE} is not supported, ${what}: ${advice}`);
}

function corrupt(what: string): VocabError {
  const message = `${FILE} is damaged, ${what}: get the model's files again`;
  return new VocabError("vocab_corrupt", message);
}
