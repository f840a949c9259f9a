import type { FolderParts } from "../../../llm/model/model-card.ts";
import { BYTE_TO_CODE_POINT } from "../../../llm/tokens/vocab/byte-alphabet.ts";

/** A tokenizer.json of 256 bytes, a few merges and special tokens, small enough to reason about. */

type Json = Record<string, unknown>;

export const QWEN2_PATTERN = [
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*`,
  String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`,
].join("|");
export const LLAMA3_PATTERN = QWEN2_PATTERN.replace(String.raw`\p{N}|`, String.raw`\p{N}{1,3}|`);

export function splitBy(pattern: string): Json {
  const split = { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
  const bytes = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: false,
  };
  return { type: "Sequence", pretokenizers: [split, bytes] };
}

/** Ids: the byte values, then 256 "he", 257 "ll", 258 "hell", 259 "hello", 260 "é". */
export const MERGES: readonly (readonly [string, string])[] = [
  ["h", "e"],
  ["l", "l"],
  ["he", "ll"],
  ["hell", "o"],
  ["Ã", "©"],
];

export const BEGIN = 261;
export const END = 262;
export const THINK = 263;

export function smallTokenizer(changes: Json = {}, model_changes: Json = {}): Json {
  const vocab: Record<string, number> = {};
  BYTE_TO_CODE_POINT.forEach((point, byte) => {
    vocab[String.fromCodePoint(point)] = byte;
  });
  MERGES.forEach(([left, right], i) => {
    vocab[left + right] = 256 + i;
  });
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return {
    version: "1.0",
    added_tokens: [
      { id: BEGIN, content: "<begin>", ...plain, special: true },
      { id: END, content: "<end>", ...plain, special: true },
      { id: THINK, content: "<think>", ...plain, special: false },
    ],
    normalizer: null,
    pre_tokenizer: splitBy(QWEN2_PATTERN),
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", vocab, merges: MERGES, ...model_changes },
    ...changes,
  };
}

export const jsonBytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(value));

export function folderOf(tokenizer: Json, others: Record<string, Json> = {}): FolderParts {
  const parts: Record<string, Uint8Array> = { tokenizer_json: jsonBytes(tokenizer) };
  for (const [name, value] of Object.entries(others)) parts[name] = jsonBytes(value);
  return parts as FolderParts;
}
