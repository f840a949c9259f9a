/** Forms that simulated clients ask for, and the tokens that the simulated engine draws in them. */
import type { Compiled } from "../../../actors/engine/grammar/compiled.ts";
import { GrammarSet } from "../../../actors/engine/grammar/grammar-set.ts";
import { grammarVocab } from "../../../actors/engine/grammar/grammar-vocab.ts";
import {
  type Closers,
  closersOf,
  constrainedToken,
  wordsOf,
} from "../../../actors/engine/mocker/constrained-token.ts";
import type { Draw } from "../../../actors/engine/mocker/drawn-token.ts";
import { answerConstraint } from "../../../llm/constraint/answer-constraint.ts";
import { constraintText } from "../../../llm/constraint/constraint.ts";
import { NO_PARSER } from "../../../llm/parsers/names.ts";
import { textTokens } from "../../../llm/tokens/text-tokens.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";

const word = { type: "string", maxLength: 12 };
const closed = { type: "object", additionalProperties: false } as const;

export const schemas = [
  { ...closed, properties: { name: word, age: { type: "integer" } }, required: ["name", "age"] },
  {
    ...closed,
    properties: { tags: { type: "array", items: { enum: ["red", "green"] }, maxItems: 9 } },
    required: ["tags"],
  },
  {
    ...closed,
    properties: {
      sure: { type: "boolean" },
      inner: { ...closed, properties: { note: word }, required: ["note"] },
    },
    required: ["sure", "inner"],
  },
] as const;

export type DrawnAnswer = {
  readonly tokens: readonly number[];
  /** The form is complete; else there was no room for more tokens. */
  readonly complete: boolean;
};

export class Forms {
  readonly #set: GrammarSet;
  readonly #compiled: readonly Compiled[];
  readonly #closers: Closers;
  readonly #text_words: Uint32Array;

  private constructor(set: GrammarSet, compiled: readonly Compiled[], tokenizer: Tokenizer) {
    this.#set = set;
    this.#compiled = compiled;
    this.#closers = closersOf(tokenizer);
    this.#text_words = wordsOf(textTokens(tokenizer), tokenizer.vocab_size);
  }

  static async open(tokenizer: Tokenizer): Promise<Forms> {
    const set = await GrammarSet.open(grammarVocab(tokenizer, tokenizer.vocab_size));
    const compiled: Compiled[] = [];
    for (const schema of schemas) compiled.push(await set.compile(textOf(schema)));
    return new Forms(set, compiled, tokenizer);
  }

  /** The whole answer, as one worker alone would make it. */
  async answer(form: number, draw: Draw, max_tokens: number): Promise<DrawnAnswer> {
    const lane = await this.#set.lane(this.#compiled[form] as Compiled);
    const ends = new Set(this.#closers.ends);
    const mask = new Uint32Array(this.#set.words);
    const tokens: number[] = [];
    let complete = false;
    while (!complete && tokens.length < max_tokens) {
      if (!lane.mask(mask)) throw new Error("a drawn token does not keep to its form");
      const place = { draw, index: tokens.length, total: max_tokens, held_back: undefined, mask };
      const token = constrainedToken(place, this.#closers, this.#text_words);
      complete = token === undefined || ends.has(token);
      if (token === undefined || complete) break;
      tokens.push(token);
      lane.push(token);
    }
    lane.close();
    return { tokens, complete };
  }
}

/** As a door writes it for a model without parsers. */
function textOf(schema: unknown): string {
  const constraint = answerConstraint({
    ...{ tool_parser: NO_PARSER, reasoning_parser: NO_PARSER },
    ...{ opened: false, closed: false, thinking: undefined },
    text: { kind: "json", schema, strict: true },
  });
  if (constraint === undefined) throw new Error("a schema makes a constraint");
  return constraintText(constraint);
}
