/** Metadata of a small WordPiece vocabulary, as convert_hf_to_gguf.py writes that of a BERT. */
import type { WriteValue } from "./gguf-writer.ts";
import { VOCAB } from "./random-gguf.ts";

const CONTROL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const chars = (from: string, to: string) =>
  Array.from({ length: to.charCodeAt(0) - from.charCodeAt(0) + 1 }, (_, i) =>
    String.fromCharCode(from.charCodeAt(0) + i),
  );
const letters = [...chars("a", "z"), ...chars("0", "9")];
const begins = [
  ...[...letters, ..."!?,.:;'()-$%/@#&*+<=>[]_`{|}~\"\\^", "中", "文", "ß", "я"],
  ...["hello", "world", "play", "the", "cat", "sat", "un", "don"],
];
const goes_on = [...letters, "ing", "ed", "able", "ß", "я"];

export const wordPieces: readonly string[] = [
  ...CONTROL,
  ...begins.map((text) => `\u2581${text}`),
  ...goes_on,
];

export function wordPieceMetadata(): Readonly<Record<string, WriteValue>> {
  const padding = Array.from({ length: VOCAB - wordPieces.length }, (_, i) => `\u2581[unused${i}]`);
  const tokens = [...wordPieces, ...padding];
  const id = (text: string): WriteValue => ({ type: "u32", value: tokens.indexOf(text) });
  return {
    "tokenizer.ggml.model": { type: "string", value: "bert" },
    "tokenizer.ggml.pre": { type: "string", value: "jina-v2-en" },
    "tokenizer.ggml.tokens": { type: "strings", value: tokens },
    "tokenizer.ggml.token_type": {
      type: "i32s",
      value: tokens.map((_, i) => (i < CONTROL.length ? 3 : 1)),
    },
    "tokenizer.ggml.bos_token_id": id("[CLS]"),
    "tokenizer.ggml.eos_token_id": id("[SEP]"),
    "tokenizer.ggml.seperator_token_id": id("[SEP]"),
    "tokenizer.ggml.unknown_token_id": id("[UNK]"),
    "tokenizer.ggml.padding_token_id": id("[PAD]"),
    "tokenizer.ggml.mask_token_id": id("[MASK]"),
  };
}
