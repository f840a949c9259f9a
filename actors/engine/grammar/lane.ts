/** One answer that keeps to a grammar: what it has so far, and which tokens may come next. */
import type { GrammarMatcher } from "@mlc-ai/web-xgrammar";
import type { Compiled } from "./compiled.ts";
import type { GrammarVocab } from "./grammar-vocab.ts";
import type { XGrammar } from "./xgrammar.ts";

/** What all answers of a vocabulary share. */
export type LaneParts = {
  readonly vocab: GrammarVocab;
  readonly xgrammar: XGrammar;
};

export class Lane {
  /** Tokens so far. */
  count = 0;
  readonly #set: LaneParts;
  readonly #compiled: Compiled;
  readonly #matcher: GrammarMatcher | undefined;
  #broken = false;
  #thinks: boolean;
  /** The end of what was thought, for finding its end mark. */
  #tail = "";
  /** How much of the end mark was forced; undefined: nothing is forced. */
  #forced: number | undefined;

  constructor(set: LaneParts, compiled: Compiled, matcher: GrammarMatcher | undefined) {
    this.#set = set;
    this.#compiled = compiled;
    this.#matcher = matcher;
    this.#thinks = compiled.thinking !== undefined;
    this.#limit();
  }

  push(token: number): void {
    if (this.#broken) return;
    this.count++;
    if (this.#matcher?.acceptToken(token) === false) this.#broken = true;
    const text = this.#set.vocab.texts[token] ?? "";
    if (this.#thinks) this.#think(token, text);
  }

  /** Fills `to`; false: nothing can come, as what was pushed does not keep to the grammar. */
  mask(to: Uint32Array): boolean {
    if (this.#broken) return false;
    if (this.#forced !== undefined) return this.#force(to);
    const { allowed } = this.#compiled;
    if (this.#matcher === undefined) {
      to.set(allowed);
      return true;
    }
    this.#set.xgrammar.mask(this.#matcher, this.#set.vocab.texts.length, to);
    for (let i = 0; i < to.length; i++) to[i]! &= allowed[i]!;
    return true;
  }

  close(): void {
    this.#matcher?.dispose();
  }

  #think(token: number, text: string): void {
    const { end, tokens } = this.#compiled.thinking!.forced;
    this.#tail += text;
    if (this.#tail.includes(end)) {
      this.#thinks = false;
      this.#forced = undefined;
      this.#tail = "";
      return;
    }
    this.#tail = this.#tail.slice(-end.length);
    if (this.#forced !== undefined) {
      // A token that was not the forced one was made where no budget held: it begins anew.
      this.#forced = tokens[this.#forced] === token ? this.#forced + text.length : 0;
    }
    this.#limit();
  }

  /** From the end of the budget on the end mark is forced. */
  #limit(): void {
    const most = this.#compiled.thinking?.max_tokens;
    if (most !== undefined && this.#thinks && this.count >= most) this.#forced ??= 0;
  }

  #force(to: Uint32Array): boolean {
    const token = this.#compiled.thinking!.forced.tokens[this.#forced!];
    if (token === undefined) return false;
    to.fill(0);
    to[token >>> 5]! |= 1 << (token & 31);
    return true;
  }
}
