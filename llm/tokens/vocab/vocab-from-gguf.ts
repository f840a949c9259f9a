import {
  type GgufHeader,
  type GgufValue,
  ggufArray,
  ggufBoolean,
  ggufNumbers,
  ggufString,
  ggufStringSpans,
} from "../../model/gguf.ts";
import { unknownPreTokenizer } from "../bpe.ts";
import { MergeBuilder } from "../merge-builder.ts";
import { type PreTokenizer, preTokenizer } from "../words/pre-tokenizers.ts";
import { defaultIds, resolveSpecials } from "./special-ids.ts";
import { type TokenTable, TokenTableBuilder } from "./token-table.ts";
import * as attr from "./vocab.ts";
import { type Vocab, VocabError, type VocabFlags } from "./vocab.ts";

type Metadata = ReadonlyMap<string, GgufValue>;

const K = "tokenizer.ggml.";
const encoder = new TextEncoder();

/** `tokenizer.ggml.token_type` → attribute. Source: `llama_token_type` in llama.h. */
const ATTR_OF_TYPE = [
  0,
  attr.ATTR_NORMAL,
  attr.ATTR_UNKNOWN,
  attr.ATTR_CONTROL,
  attr.ATTR_USER_DEFINED,
  attr.ATTR_UNUSED,
  attr.ATTR_BYTE,
];

/**
 * The vocabulary in a GGUF header, with the rules by which llama.cpp completes it (defaults by kind
 * and pre-tokenizer, end-of-answer tokens found by their spelling). Throws VocabError when it is
 * of no use here. Source: `llama_vocab::impl::load` in llama.cpp's `src/llama-vocab.cpp` (MIT).
 */
export function vocabFromGguf(header: GgufHeader): Vocab {
  const { metadata } = header;
  const model = ggufString(metadata, `${K}model`);
  if (model === undefined || model === "none" || model === "no_vocab") {
    const message = "the model file carries no tokenizer: get a GGUF that has one";
    throw new VocabError("vocab_missing", message);
  }
  const kind = kindOf(model);
  const pre_name = kind === "spm" ? "default" : preNameOf(metadata, model);
  const pre = kind === "spm" ? undefined : preTokenizer(pre_name);
  if (kind === "bpe" && pre === undefined) throw unknownPreTokenizer(pre_name);
  const tokens = readTokens(metadata);
  const attrs = readAttrs(metadata, tokens.count);
  const flags = flagsOf(metadata, pre);
  const special = resolveSpecials(metadata, tokens, attrs, defaultIds(kind, model, pre_name));
  applyStrips(metadata, tokens, attrs);
  if (kind === "spm") {
    const scores = readScores(metadata, tokens.count);
    const merges = new Uint32Array(0);
    const token_count = tokens.count;
    return {
      kind,
      pre: pre_name,
      table: tokens,
      token_count,
      attrs,
      scores,
      merges,
      flags,
      special,
    };
  }
  const { table, merges } = readMerges(metadata, tokens);
  const token_count = tokens.count;
  const scores = new Float32Array(0);
  return { kind, pre: pre_name, table, token_count, attrs, scores, merges, flags, special };
}

function kindOf(model: string): "bpe" | "spm" {
  if (model === "llama") return "spm";
  if (model === "gpt2" || model === "gemma4") return "bpe";
  const advice = "models with a byte-pair, SentencePiece or WordPiece vocabulary are served";
  throw new VocabError("vocab_unsupported", `tokenizer "${model}" is not supported: ${advice}`);
}

function preNameOf(metadata: Metadata, model: string): string {
  if (model === "gemma4") return "gemma4";
  const name = ggufString(metadata, `${K}pre`);
  return name === undefined || name === "" ? "default" : name;
}

function flagsOf(metadata: Metadata, pre: PreTokenizer | undefined): VocabFlags {
  const spm = pre === undefined;
  const add_bos = ggufBoolean(metadata, `${K}add_bos_token`) ?? (spm || pre.add_bos === true);
  const gemma4 = pre?.raw === true && pre.add_bos === true; // the files say false and mean true
  return {
    add_bos: add_bos || gemma4,
    add_eos: ggufBoolean(metadata, `${K}add_eos_token`) ?? false,
    add_space_prefix: ggufBoolean(metadata, `${K}add_space_prefix`) ?? spm,
    ignore_merges: pre?.ignore_merges === true,
    escape_spaces: spm || pre.raw === true,
    byte_alphabet: !spm && pre.raw !== true,
  };
}

function readTokens(metadata: Metadata): TokenTable {
  const array = ggufArray(metadata, `${K}tokens`);
  const spans = array === undefined ? undefined : ggufStringSpans(array);
  if (array === undefined || spans === undefined || array.count === 0) {
    throw new VocabError("vocab_missing", "the model file lists no tokens: get the model again");
  }
  const builder = new TokenTableBuilder(array.bytes.length);
  for (let i = 0; i < array.count; i++) {
    const text = array.bytes.subarray(spans[2 * i]!, spans[2 * i + 1]!);
    builder.add(text.length === 0 ? encoder.encode(`[EMPTY_${i}]`) : text);
  }
  return builder.build();
}

function readAttrs(metadata: Metadata, count: number): Uint16Array {
  const attrs = new Uint16Array(count).fill(attr.ATTR_NORMAL);
  const types = numbersOf(metadata, `${K}token_type`, count);
  if (types !== undefined) {
    for (let i = 0; i < count; i++) attrs[i] = ATTR_OF_TYPE[types[i]!] ?? 0;
  }
  return attrs;
}

function readScores(metadata: Metadata, count: number): Float32Array {
  const scores = numbersOf(metadata, `${K}scores`, count);
  return scores === undefined ? new Float32Array(count) : Float32Array.from(scores);
}

function numbersOf(metadata: Metadata, key: string, count: number): Float64Array | undefined {
  const array = ggufArray(metadata, key);
  if (array === undefined) return undefined;
  const numbers = ggufNumbers(array);
  if (numbers === undefined || numbers.length < count) {
    const message = `${key} does not fit the ${count} tokens of the model: get the model again`;
    throw new VocabError("vocab_corrupt", message);
  }
  return numbers.subarray(0, count);
}

function readMerges(
  metadata: Metadata,
  tokens: TokenTable,
): { table: TokenTable; merges: Uint32Array } {
  const array = ggufArray(metadata, `${K}merges`);
  const spans = array === undefined ? undefined : ggufStringSpans(array);
  if (array === undefined || spans === undefined) {
    const message = "the model file lists no merges for its byte-pair vocabulary: get it again";
    throw new VocabError("vocab_missing", message);
  }
  const merges = new MergeBuilder(tokens, array.count);
  for (let i = 0; i < array.count; i++) {
    merges.addLine(array.bytes, spans[2 * i]!, spans[2 * i + 1]!);
  }
  return merges.build();
}

/** Which special tokens eat the blanks beside them; GGUF files do not say, so names decide. */
function applyStrips(metadata: Metadata, tokens: TokenTable, attrs: Uint16Array): void {
  const pre = ggufString(metadata, `${K}pre`) ?? "";
  const name = (ggufString(metadata, "general.name") ?? "").toLowerCase();
  const change = (text: string, set: number, clear: number): void => {
    const bytes = encoder.encode(text);
    const token = tokens.find(bytes, 0, bytes.length);
    if (token >= 0) attrs[token] = (attrs[token]! | set) & ~clear;
  };
  if (["jina-v2-de", "jina-v2-es", "jina-v2-code"].some((part) => pre.includes(part))) {
    change("<mask>", attr.ATTR_LSTRIP, 0);
  } else if (name.includes("phi-3") || name.includes("phi3")) {
    const special = attr.ATTR_CONTROL | attr.ATTR_USER_DEFINED | attr.ATTR_UNKNOWN;
    for (let i = 0; i < attrs.length; i++) {
      if ((attrs[i]! & special) !== 0) attrs[i] = attrs[i]! | attr.ATTR_RSTRIP;
    }
    change("</s>", attr.ATTR_RSTRIP, 0);
    for (const text of ["<unk>", "<s>", "<|endoftext|>"]) change(text, 0, attr.ATTR_RSTRIP);
  } else if (name.includes("modern-bert")) {
    change("[MASK]", attr.ATTR_LSTRIP, 0);
  }
}
