import { type GgufHeader, parseGguf } from "../../../llm/model/gguf.ts";
import type { Vocab } from "../../../llm/tokens/vocab/vocab.ts";
import { vocabFromGguf } from "../../../llm/tokens/vocab/vocab-from-gguf.ts";
import { rewriteGguf, type WriteValue, writeGguf } from "../engine/gguf-writer.ts";
import { HARD_TEXTS } from "./hard-texts.ts";

export const TINY_MODEL = new URL("../../../deploy/models/tiny/troupe-tiny.gguf", import.meta.url)
  .pathname;

/** Header of a whole file in memory; throws what is wrong with it. */
export function headerOf(file: Uint8Array): GgufHeader {
  const parsed = parseGguf(file, file.length);
  if (parsed.kind === "header") return parsed.header;
  throw parsed.kind === "error" ? parsed.error : new Error(`${parsed.bytes} bytes are needed`);
}

export function vocabOf(file: Uint8Array): Vocab {
  return vocabFromGguf(headerOf(file));
}

type Metadata = Record<string, WriteValue>;

/** The tiny model under another pre-tokenizer: same tokens and merges, other word borders. */
export function withPreTokenizer(file: Uint8Array, pre: string): Uint8Array {
  const value: WriteValue = { type: "string", value: pre };
  return rewriteGguf(file, headerOf(file), { "tokenizer.ggml.pre": value });
}

/** The tiny model under a SentencePiece vocabulary of the same size, learned from hard texts. */
export function withSentencePieces(file: Uint8Array, changes: Metadata = {}): Uint8Array {
  const header = headerOf(file);
  const tokens = header.metadata.get("tokenizer.ggml.tokens");
  const count = typeof tokens === "object" ? tokens.count : 0;
  return rewriteGguf(file, header, {
    ...sentencePieces(count),
    "tokenizer.ggml.pre": undefined,
    "tokenizer.ggml.merges": undefined,
    "tokenizer.ggml.padding_token_id": undefined,
    "tokenizer.ggml.add_bos_token": { type: "bool", value: true },
    "tokenizer.chat_template": undefined,
    ...changes,
  });
}

/** A vocabulary file without weights: enough for everything but an engine. */
export function sentencePieceFile(count: number, changes: Metadata = {}): Uint8Array {
  const architecture: WriteValue = { type: "string", value: "llama" };
  return writeGguf({ "general.architecture": architecture, ...sentencePieces(count), ...changes });
}

const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;

function sentencePieces(count: number): Metadata {
  const texts = ["<unk>", "<s>", "</s>"];
  const types = [2, CONTROL, CONTROL];
  for (let byte = 0; byte < 256; byte++) {
    texts.push(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    types.push(BYTE);
  }
  for (const text of ["<start_of_turn>", "<end_of_turn>", "<|endoftext|>", "<|im_end|>"]) {
    texts.push(text);
    types.push(CONTROL);
  }
  for (const text of ["\n\n", "\n\n\n", "  ", "    ", "<table>", "<td>"]) {
    texts.push(text);
    types.push(USER_DEFINED);
  }
  const known = new Set(texts);
  for (const piece of frequentPieces()) {
    if (texts.length === count) break;
    if (known.has(piece)) continue;
    texts.push(piece);
    types.push(1);
    known.add(piece);
  }
  for (let i = 0; texts.length < count; i++) {
    texts.push(`<unused${i}>`);
    types.push(CONTROL);
  }
  return {
    "tokenizer.ggml.model": { type: "string", value: "llama" },
    "tokenizer.ggml.tokens": { type: "strings", value: texts },
    "tokenizer.ggml.scores": { type: "f32s", value: texts.map((_, i) => (i < 269 ? 0 : -i)) },
    "tokenizer.ggml.token_type": { type: "i32s", value: types },
    "tokenizer.ggml.bos_token_id": { type: "u32", value: 1 },
    "tokenizer.ggml.eos_token_id": { type: "u32", value: 2 },
    "tokenizer.ggml.unknown_token_id": { type: "u32", value: 0 },
  };
}

/** Pieces of 1 to 6 characters, those that save most first. */
function frequentPieces(): string[] {
  const counts = new Map<string, number>();
  for (const text of HARD_TEXTS) {
    // The C library ends a token's text at its first NUL.
    const points = [...text.replaceAll("\0", "").replaceAll(" ", "▁").slice(0, 400).toWellFormed()];
    for (let length = 1; length <= 6; length++) {
      for (let i = 0; i + length <= points.length; i++) {
        const piece = points.slice(i, i + length).join("");
        counts.set(piece, (counts.get(piece) ?? 0) + length);
      }
    }
  }
  const order = (a: [string, number], b: [string, number]): number =>
    b[1] - a[1] || (a[0] < b[0] ? -1 : 1);
  return [...counts].sort(order).map(([piece]) => piece);
}
