import type { GgufValue } from "./gguf.ts";
import { JsonCursor } from "./json-cursor.ts";
import type { TokenizerSettings } from "./json-named-tokens.ts";
import { namedTokens } from "./json-named-tokens.ts";
import { preTokenizerOfJson } from "./json-pre-tokenizers.ts";
import { configNumber, isTokenId, type Json, MAX_TOKENS, objectOf } from "./json-values.ts";
import { MergeBuilder } from "./merge-builder.ts";
import { preTokenizer } from "./pre-tokenizers.ts";
import { resolveSpecials } from "./special-ids.ts";
import { type TokenTable, TokenTableBuilder } from "./token-table.ts";
import * as attr from "./vocab.ts";
import { type Vocab, VocabError, type VocabFlags } from "./vocab.ts";

type AddedToken = {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
};

/** What tokenizer.json says; merges are read when the tokens are numbered. */
type Parts = {
  readonly model: Json;
  readonly vocab: TextsById;
  readonly merges: JsonCursor;
  readonly added: readonly AddedToken[];
  readonly nfc: boolean;
  readonly pre_tokenizer: unknown;
  readonly post_processor: Json;
};

const FILE = "tokenizer.json";
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
  const specials = namedTokens(parts.post_processor, settings, tokens);
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

function vocabSize(config: Json): number {
  const size = configNumber(config, "vocab_size") ?? 0;
  return size > MAX_TOKENS ? 0 : size;
}

function readParts(bytes: Uint8Array): Parts {
  const file = new JsonCursor(FILE, bytes);
  const root: Record<string, unknown> = {};
  const model: Record<string, unknown> = {};
  let vocab: TextsById | undefined;
  let merges: JsonCursor | undefined;
  file.object(() => {
    const key = file.text();
    if (key !== "model") {
      root[key] = file.value();
      return;
    }
    file.object(() => {
      const name = file.text();
      if (name === "vocab" && !file.atArray()) vocab = readVocab(file);
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

function readVocab(file: JsonCursor): TextsById {
  const texts = new TextsById();
  file.object(() => {
    const { string_bytes, string_start, string_end } = file;
    const id = file.whole();
    if (!isTokenId(id)) throw corrupt(`a token has the id ${id}`);
    if (texts.has(id)) throw corrupt(`two tokens have the id ${id}`);
    texts.put(id, string_bytes, string_start, string_end);
  });
  return texts;
}

/** Tokens by id; ids that nobody names are `[PAD…]` and unused. */
function readTokens(parts: Parts, least_count: number): { tokens: TokenTable; attrs: Uint16Array } {
  const { vocab: texts, added } = parts;
  for (const { id, content } of added) texts.putText(id, content);
  const count = Math.max(texts.count, least_count);
  const attrs = new Uint16Array(count).fill(attr.ATTR_NORMAL);
  for (let id = 0; id < count; id++) {
    if (texts.has(id)) continue;
    attrs[id] = attr.ATTR_UNUSED;
    texts.putText(id, `[PAD${id}]`);
  }
  for (const { id, special, lstrip, rstrip } of added) {
    const strips = (lstrip ? attr.ATTR_LSTRIP : 0) | (rstrip ? attr.ATTR_RSTRIP : 0);
    attrs[id] = (special ? attr.ATTR_CONTROL : attr.ATTR_USER_DEFINED) | strips;
  }
  return { tokens: texts.table(), attrs };
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
      const { string_bytes, string_start, string_end } = cursor;
      const least = length + string_end - string_start;
      if (least > pair.length) pair = grown(pair, least);
      middle = length;
      for (let i = string_start; i < string_end; i++) pair[length++] = string_bytes[i]!;
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

/** Texts that come in any order, collected without an object for each. */
class TextsById {
  count = 0;
  private bytes = new Uint8Array(1 << 16);
  private length = 0;
  /** Start and end + 1 by id; 0 as an end: no text yet. */
  private spans = new Uint32Array(1 << 12);

  has(id: number): boolean {
    return id < this.count && this.spans[2 * id + 1] !== 0;
  }

  putText(id: number, text: string): void {
    const bytes = encoder.encode(text);
    this.put(id, bytes, 0, bytes.length);
  }

  put(id: number, from: Uint8Array, start: number, end: number): void {
    const least = this.length + end - start;
    if (least > this.bytes.length) this.bytes = grown(this.bytes, least);
    if (2 * id + 1 >= this.spans.length) {
      const larger = new Uint32Array(4 * id + 2);
      larger.set(this.spans);
      this.spans = larger;
    }
    this.spans[2 * id] = this.length;
    for (let i = start; i < end; i++) this.bytes[this.length++] = from[i]!;
    this.spans[2 * id + 1] = this.length + 1;
    this.count = Math.max(this.count, id + 1);
  }

  table(): TokenTable {
    const builder = new TokenTableBuilder(this.length);
    for (let id = 0; id < this.count; id++) {
      builder.addSpan(this.bytes, this.spans[2 * id]!, this.spans[2 * id + 1]! - 1);
    }
    return builder.build();
  }
}

function unsupported(what: string): VocabError {
  const advice = "a byte-level BPE vocabulary is needed, or a GGUF of the model";
  return new VocabError("vocab_unsupported", `${FILE} is not supported, ${what}: ${advice}`);
}

function corrupt(what: string): VocabError {
  const message = `${FILE} is damaged, ${what}: get the model's files again`;
  return new VocabError("vocab_corrupt", message);
}
