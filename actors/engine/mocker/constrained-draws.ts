/** Draws of simulated answers that keep to a grammar. */
import type { EngineRefusal } from "../engine.ts";
import type { Grammars, Masks } from "../grammar/grammars.ts";
import type { Answer } from "./answer.ts";
import { type Closers, constrainedToken, wordsOf } from "./constrained-token.ts";
import type { Drawable } from "./drawn-token.ts";

/** Without it an engine knows no grammars. */
export type MockerGrammar = { readonly grammars: Grammars; readonly closers: Closers };

/** The token; "end" where the answer ends with `stop_token` or `ending`; "late": ask again. */
export type ConstrainedOutcome = number | "end" | "late";

export class ConstrainedDraws {
  readonly #grammar: MockerGrammar;
  readonly #text_words: Uint32Array;
  readonly #ends: ReadonlySet<number>;

  constructor(grammar: MockerGrammar, { tokens, vocab_size }: Drawable) {
    this.#grammar = grammar;
    this.#text_words = wordsOf(tokens, vocab_size);
    this.#ends = new Set(grammar.closers.ends);
  }

  prepare(constraint: string, done: (refusal: EngineRefusal | undefined) => void): void {
    this.#grammar.grammars.compile(constraint, done);
  }

  next(answer: Answer, masks: Masks): ConstrainedOutcome {
    const mask = masks.next();
    if (mask === "late") return "late";
    if (mask === "failed") {
      answer.ending = "error";
      return "end";
    }
    const { draw, index, total } = answer;
    const held_back = this.#heldBack(answer);
    const drawn = { draw, index, total, held_back, mask };
    const token = constrainedToken(drawn, this.#grammar.closers, this.#text_words);
    if (token === undefined) {
      answer.ending = "stop";
      return "end";
    }
    if (this.#ends.has(token) || answer.stops?.has(token)) {
      answer.stop_token = token;
      return "end";
    }
    masks.push(token);
    return token;
  }

  #heldBack({ request, index, stops }: Answer): ReadonlySet<number> | undefined {
    if (index < request.min_tokens) return this.#ends.union(stops ?? new Set());
    return request.ignore_eos ? this.#ends : undefined;
  }
}
