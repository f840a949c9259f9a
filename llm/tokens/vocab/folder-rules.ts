/**
 * How a `tokenizer.json` wants its vocabulary used, beyond what a GGUF knows: plain data, part of
 * the tokenizer's blob. A part of the file that is not known here is named instead, and left to a
 * library (library-tokenizer.ts).
 */
import type { AddedToken } from "../added-tokens.ts";
import { type NormalizerStep, normalizerSteps } from "../words/normalizers.ts";
import type { SplitStep } from "../words/word-splitter.ts";
import { type Json, objectOf } from "./json-values.ts";
import { jsonWords } from "./json-words.ts";

export type FolderRules = {
  readonly added: readonly AddedToken[];
  readonly normalizer: readonly NormalizerStep[];
  /** How a piece of text is cut into words; none: it is one word. */
  readonly words: readonly SplitStep[];
  readonly space_prefix: boolean;
  /** Words are spelled in GPT-2's byte alphabet; else in UTF-8, with tokens for lone bytes. */
  readonly byte_level: boolean;
  /** The decoded text loses the space it begins with. */
  readonly strip_start: boolean;
};

type Parts = {
  readonly model: Json;
  readonly normalizer: unknown;
  readonly pre_tokenizer: unknown;
  readonly decoder: unknown;
  readonly added: readonly AddedToken[];
  /** Is this spelling in the model's own vocabulary? */
  readonly has: (spelling: string) => boolean;
  /** Spelling of each byte. */
  readonly alphabet: readonly string[];
};

/** The rules, or the part of the file that they cannot express. */
export function folderRules(parts: Parts): FolderRules | string {
  const { model, added } = parts;
  const words = jsonWords(parts.pre_tokenizer);
  if (typeof words === "string") return words;
  const normalizer = normalizerSteps(parts.normalizer);
  if (typeof normalizer === "string") return normalizer;
  const strange = strangeModel(parts, words.byte_level);
  if (strange !== undefined) return strange;
  if (!words.byte_level && words.steps.length === 0 && model["ignore_merges"] === true) {
    return "a text that may be one token";
  }
  const decoder = decoderOf(parts.decoder, words.byte_level);
  if (decoder === undefined) return `the decoder ${JSON.stringify(parts.decoder ?? null)}`;
  const { byte_level, space_prefix, steps } = words;
  return { added, normalizer, words: steps, space_prefix, byte_level, ...decoder };
}

function strangeModel({ model, has, alphabet }: Parts, byte_level: boolean): string | undefined {
  const type = model["type"] ?? "BPE";
  if (type !== "BPE") return `the model ${String(type)}`;
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    const value = model[key];
    if (typeof value === "string" && value !== "") return `${key} "${value}"`;
  }
  if (typeof model["dropout"] === "number" && model["dropout"] > 0) return "dropout";
  if (byte_level) {
    const complete = alphabet.every(has);
    if (model["byte_fallback"] === true && !complete) return "byte_fallback beside ByteLevel";
    const unknown = model["unk_token"];
    return typeof unknown === "string" && !complete ? "an alphabet with gaps" : undefined;
  }
  const complete = Array.from({ length: 256 }, (_, byte) => byte).every((byte) => {
    if (has(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`)) return true;
    return byte < 0x80 && has(String.fromCharCode(byte)); // it never falls back then
  });
  return model["byte_fallback"] === true && complete
    ? undefined
    : "words without a token for bytes";
}

const SPACES = { type: "Replace", pattern: { String: "\u2581" }, content: " " };
const FALLBACK = [SPACES, { type: "ByteFallback" }, { type: "Fuse" }];
const STRIP = { type: "Strip", content: " ", start: 1, stop: 0 };

function decoderOf(decoder: unknown, byte_level: boolean): { strip_start: boolean } | undefined {
  const json = objectOf(decoder);
  if (byte_level) return json["type"] === "ByteLevel" ? { strip_start: false } : undefined;
  if (json["type"] !== "Sequence") return undefined;
  for (const strip_start of [false, true]) {
    const known = strip_start ? [...FALLBACK, STRIP] : FALLBACK;
    if (Bun.deepEquals(json["decoders"], known)) return { strip_start };
  }
  return undefined;
}
