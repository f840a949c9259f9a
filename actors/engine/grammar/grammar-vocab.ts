/** A model's vocabulary as grammars see it. */
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import { BYTE_TO_CODE_POINT } from "../../../llm/tokens/vocab/byte-alphabet.ts";

export type GrammarVocab = {
  /**
   * Each token's bytes in GPT-2's byte alphabet, a character a byte. "" for tokens that no grammar
   * may ask for: unused ones, the unknown one and those that end an answer.
   */
  readonly texts: readonly string[];
  /** Tokens that end an answer. */
  readonly ends: readonly number[];
  /** Control tokens: they come only where a grammar names their spelling. */
  readonly control: readonly number[];
};

const CHARACTERS = Array.from(BYTE_TO_CODE_POINT, (code) => String.fromCharCode(code));

/** A text's UTF-8 in the alphabet. */
export function inAlphabet(text: string): string {
  return ofBytes(new TextEncoder().encode(text));
}

/** The bytes of a text in the alphabet. */
export function bytesOfAlphabet(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = BYTES[text.charCodeAt(i)] ?? 0;
  return bytes;
}

/** By code. */
const BYTES = new Uint8Array(Math.max(...BYTE_TO_CODE_POINT) + 1);
for (const [byte, code] of BYTE_TO_CODE_POINT.entries()) BYTES[code] = byte;

function ofBytes(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += CHARACTERS[bytes[i]!]!;
  return text;
}

/** A text in the alphabet as tokens, as they would be in the middle of a text. */
export function encoderOf(tokenizer: Tokenizer, { texts }: GrammarVocab) {
  const decoder = new TextDecoder();
  const line = inAlphabet("\n");
  return (text: string): readonly number[] => {
    const written = decoder.decode(bytesOfAlphabet(text));
    const options = { add_special: false, parse_special: true };
    if (!tokenizer.add_space_prefix) return [...tokenizer.encode(written, options)];
    const tokens = [...tokenizer.encode(`\n${written}`, options)];
    return tokens.slice(1 + tokens.findIndex((token) => texts[token] === line));
  };
}

/** `vocab_size` is the number of logits, which may be more than the tokenizer's tokens. */
export function grammarVocab(tokenizer: Tokenizer, vocab_size: number): GrammarVocab {
  const texts: string[] = [];
  const control: number[] = [];
  const { eog, unk } = tokenizer.special;
  for (let token = 0; token < vocab_size; token++) {
    const known = token < tokenizer.vocab_size && token !== unk && !tokenizer.isEog(token);
    texts.push(known ? ofBytes(tokenizer.tokenBytes(token)) : "");
    if (known && tokenizer.isControl(token)) control.push(token);
  }
  return { texts, ends: eog.filter((token) => token < vocab_size), control };
}
