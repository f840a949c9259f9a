import type { AddedToken } from "../added-tokens.ts";
import { MergeBuilder } from "../merge-builder.ts";
import { BYTE_TO_CODE_POINT } from "./byte-alphabet.ts";
import { type FolderRules, folderRules } from "./folder-rules.ts";
import { corrupt, FILE, folderSpecials, readAdded } from "./folder-tokens.ts";
import { JsonCursor } from "./json-cursor.ts";
import { namedTokens, type TokenizerSettings } from "./json-named-tokens.ts";
import { configNumber, isTokenId, type Json, MAX_TOKENS, objectOf } from "./json-values.ts";
import { grown, TextsById } from "./texts-by-id.ts";
import type { TokenTable } from "./token-table.ts";
import * as attr from "./vocab.ts";
import { type Vocab, VocabError, type VocabFlags } from "./vocab.ts";

/** Parts of a tokenizer.json; merges are read when the tokens are numbered. */
type Parts = {
  readonly model: Json;
  readonly vocab: TextsById;
  readonly merges: JsonCursor;
  readonly added: readonly AddedToken[];
  readonly rules: FolderRules;
  readonly post_processor: Json;
};

/** `library`: there is something in the file that only a library has, and this says what. */
export type FolderVocab =
  | { readonly kind: "own"; readonly vocab: Vocab }
  | { readonly kind: "library"; readonly reason: string };

const encoder = new TextEncoder();

/**
 * The vocabulary in a Hugging Face `tokenizer.json` (byte-pair encoding) with the file's own rules.
 * Throws VocabError when the file is damaged.
 */
export function vocabFromTokenizerJson(
  bytes: Uint8Array,
  settings: TokenizerSettings,
): FolderVocab {
  const parts = readParts(bytes);
  if (typeof parts === "string") return { kind: "library", reason: parts };
  const { rules } = parts;
  const { tokens, attrs } = readTokens(parts, vocabSize(settings.config));
  const specials = namedTokens(parts.post_processor, settings, tokens);
  const flags: VocabFlags = {
    add_bos: specials.add_bos ?? false,
    add_eos: specials.add_eos ?? false,
    add_space_prefix: false,
    ignore_merges: parts.model["ignore_merges"] === true,
    escape_spaces: false,
    byte_alphabet: rules.byte_level,
  };
  const vocab: Vocab = {
    kind: "bpe",
    pre: "folder",
    ...readMerges(parts.merges, tokens),
    token_count: tokens.count,
    attrs,
    scores: new Float32Array(0),
    flags,
    special: folderSpecials(specials, tokens, parts.added),
    folder: rules,
  };
  return { kind: "own", vocab };
}

/** As config.json says, where that is to be believed; else 0. */
export function vocabSize(config: Json): number {
  const size = configNumber(config, "vocab_size") ?? 0;
  return size > MAX_TOKENS ? 0 : size;
}

/** Or what in the file only a library knows. */
function readParts(bytes: Uint8Array): Parts | string {
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
  const type = model["type"] ?? "BPE";
  if (type !== "BPE") return `the model ${String(type)}`;
  if (vocab === undefined || merges === undefined) {
    throw new VocabError("vocab_missing", `${FILE} has no vocabulary: get the model's files again`);
  }
  const found = vocab.table();
  const has = (spelling: string): boolean => {
    const utf8 = encoder.encode(spelling);
    return found.find(utf8, 0, utf8.length) >= 0;
  };
  const { normalizer, pre_tokenizer, decoder } = root;
  const added = readAdded(root["added_tokens"], found, vocab.entries);
  const alphabet = Array.from(BYTE_TO_CODE_POINT, (point) => String.fromCodePoint(point));
  const rules = folderRules({ model, normalizer, pre_tokenizer, decoder, added, has, alphabet });
  if (typeof rules === "string") return rules;
  return { model, vocab, merges, added, rules, post_processor: objectOf(root["post_processor"]) };
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
  for (const { id, content } of added) if (!texts.has(id)) texts.putText(id, content);
  const count = Math.max(texts.count, least_count);
  const attrs = new Uint16Array(count).fill(attr.ATTR_NORMAL);
  for (let id = 0; id < count; id++) {
    if (texts.has(id)) continue;
    attrs[id] = attr.ATTR_UNUSED;
    texts.putText(id, `[PAD${id}]`);
  }
  for (const { id, special } of added) {
    attrs[id] = special ? attr.ATTR_CONTROL : attr.ATTR_USER_DEFINED;
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
