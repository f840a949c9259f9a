import type { CompiledGrammar } from "@mlc-ai/web-xgrammar";
import type { Thinking } from "../../../llm/constraint/constraint.ts";

/** A compiled constraint. */
export type Compiled = {
  /** Undefined: any text. */
  readonly grammar: CompiledGrammar | undefined;
  /** Tokens that may come at all: all but the control tokens that the constraint does not name. */
  readonly allowed: Uint32Array;
  readonly thinking: (Thinking & { readonly forced: Forced }) | undefined;
};

/** How the end of the reasoning is written: by place in `end`, the longest token from there. */
export type Forced = {
  /** In the byte alphabet. */
  readonly end: string;
  readonly tokens: readonly (number | undefined)[];
};
