import type { FolderRules } from "./folder-rules.ts";
import type { TokenTable } from "./token-table.ts";

/** Attribute bits of a token, as llama.cpp's `llama_token_attr`. */
export const ATTR_UNKNOWN = 1;
export const ATTR_UNUSED = 2;
export const ATTR_NORMAL = 4;
export const ATTR_CONTROL = 8;
export const ATTR_USER_DEFINED = 16;
export const ATTR_BYTE = 32;
export const ATTR_LSTRIP = 128;
export const ATTR_RSTRIP = 256;

export type VocabErrorCode = "vocab_unsupported" | "vocab_corrupt" | "vocab_missing";

/** The model's vocabulary cannot be used; `message` names what in it. */
export class VocabError extends Error {
  readonly code: VocabErrorCode;
  constructor(code: VocabErrorCode, message: string) {
    super(message);
    this.name = "VocabError";
    this.code = code;
  }
}

/** Token ids with a meaning; undefined where the model has none. */
export type SpecialIds = {
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  readonly eot: number | undefined;
  readonly unk: number | undefined;
  readonly pad: number | undefined;
  readonly sep: number | undefined;
  /** What stands before the text, before what follows it, and where what is between begins. */
  readonly fim_pre?: number | undefined;
  readonly fim_suf?: number | undefined;
  readonly fim_mid?: number | undefined;
  /** All tokens that end an answer, ascending. */
  readonly eog: readonly number[];
};

export type VocabFlags = {
  readonly add_bos: boolean;
  readonly add_eos: boolean;
  readonly add_space_prefix: boolean;
  readonly ignore_merges: boolean;
  /** The vocabulary spells a space as U+2581. */
  readonly escape_spaces: boolean;
  /** The vocabulary spells bytes in GPT-2's alphabet. */
  readonly byte_alphabet: boolean;
};

/** Everything a tokenizer is built from; plain data, see vocab-blob.ts for its stored form. */
export type Vocab = {
  readonly kind: "bpe" | "spm";
  /** Name of the pre-tokenizer, see pre-tokenizers.ts. */
  readonly pre: string;
  /** Tokens first, `token_count` of them; after them symbols that merges name but no token is. */
  readonly table: TokenTable;
  readonly token_count: number;
  /** ATTR_ bits by token. */
  readonly attrs: Uint16Array;
  /** By token for "spm"; empty for "bpe". */
  readonly scores: Float32Array;
  /** For "bpe", best first: left, right and joined symbol of each merge, three entries each. */
  readonly merges: Uint32Array;
  readonly flags: VocabFlags;
  readonly special: SpecialIds;
  /** Rules of a vocabulary from tokenizer.json, as Hugging Face's `tokenizers` applies them. */
  readonly folder?: FolderRules | undefined;
};
