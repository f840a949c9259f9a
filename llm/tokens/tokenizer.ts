/** The interface of tokenizers; `vocab-tokenizer.ts` makes them. */
import type { SpecialIds } from "./vocab/vocab.ts";

export type EncodeOptions = {
  /** Put the begin (and end) token around the text where the model wants them. */
  readonly add_special: boolean;
  /** Control tokens spelled in the text become those tokens; false leaves them plain text. */
  readonly parse_special: boolean;
  /**
   * A mark inside text that must not become a control token. Control tokens are not found across
   * it; the text is then tokenized as if the mark were not there.
   */
  readonly barrier?: string | undefined;
};

/** Tokens to text one by one, where a token's text hangs on the ones beside it. */
export interface TokenDecoder {
  /** The text that is certain now. */
  push(token: number): string;
  /** The text that is still held back. */
  flush(): string;
  /** True: no text is held back. */
  readonly whole: boolean;
}

/**
 * Text to token ids and back: of a GGUF equal to llama.cpp's tokenizer token for token, of a
 * tokenizer.json to Hugging Face's. Lone surrogates are taken as U+FFFD. Not for use from two
 * threads; holds caches of a few megabytes.
 */
export interface Tokenizer {
  readonly vocab_size: number;
  readonly special: SpecialIds;
  /** Encoding with `add_special` puts `special.bos` first. */
  readonly add_bos: boolean;
  readonly add_eos: boolean;
  /** The first word of a text is tokenized with a space before it (SentencePiece). */
  readonly add_space_prefix: boolean;
  /** Spellings that only a chat template may turn into tokens, none of them empty. */
  readonly control_texts: readonly string[];
  /** Where `tokenBytes` one after the other are not all there is to a text. */
  readonly newDecoder?: () => TokenDecoder;
  /** A text may be cut before a single space between two ASCII letters; see slices.ts. */
  readonly sliceable?: boolean;
  encode(text: string, options: EncodeOptions): Uint32Array;
  /**
   * The token's text as UTF-8; control tokens give their own spelling. Empty for unused ids.
   * Shared memory: not to be written to.
   */
  tokenBytes(token: number): Uint8Array;
  /** The same as text, where it is ASCII and quick to say; undefined says nothing. */
  asciiText(token: number): string | undefined;
  /** Control or unknown: not part of what a reader sees. False for ids outside the vocabulary. */
  isControl(token: number): boolean;
  /** Ends an answer. */
  isEog(token: number): boolean;
}
