import type { CompiledGrammar } from "@mlc-ai/web-xgrammar";
import type { Thinking } from "../../../llm/constraint/constraint.ts";
import type { StringLimit } from "../../../llm/constraint/schema/counted.ts";
import type { GrammarVocab } from "./grammar-vocab.ts";
import type { TokenChars } from "./token-chars.ts";
import type { XGrammar } from "./xgrammar.ts";

/** A compiled constraint. */
export type Compiled = {
  /** Undefined: any text. */
  readonly grammar: CompiledGrammar | undefined;
  /** By the numbers of the marks in the grammar. */
  readonly limits: readonly StringLimit[];
  /** Tokens that may come at all: all but the control tokens that the constraint does not name. */
  readonly allowed: Uint32Array;
  /** Which words of `allowed` leave a token out; control tokens stand close together. */
  readonly narrow: Uint32Array;
  readonly thinking: (Thinking & { readonly forced: Forced }) | undefined;
};

/** How the end of the reasoning is written: by place in `end`, the longest token from there. */
export type Forced = {
  /** In the byte alphabet. */
  readonly end: string;
  readonly tokens: readonly (number | undefined)[];
};

/** What all answers of a vocabulary share. */
export type LaneParts = {
  readonly vocab: GrammarVocab;
  readonly xgrammar: XGrammar;
  /** Bits of a mask as the library makes it, marks of limits too. */
  readonly size: number;
  readonly chars: TokenChars;
  /** A text in the byte alphabet as tokens; undefined: nobody wants to know what is forced. */
  readonly encode: Encode | undefined;
};

export type Encode = (text: string) => readonly number[];
