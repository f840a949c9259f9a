/** One answer that keeps to a grammar: what it has so far, and which tokens may come next. */
import type { GrammarMatcher } from "@mlc-ai/web-xgrammar";
import { type Blanks, blanksAfter, FIRST_BLANKS } from "./blanks.ts";
import type { Compiled, LaneParts } from "./compiled.ts";
import { type CountedState, CountedStrings } from "./counted-strings.ts";
import { forcedText } from "./forced-text.ts";

/** What a lane was before its guesses. */
type Before = {
  readonly count: number;
  readonly thinks: boolean;
  readonly tail: string;
  readonly forced: number | undefined;
  readonly counted: CountedState | undefined;
};

export class Lane {
  /** Tokens so far. */
  count = 0;
  readonly #set: LaneParts;
  readonly #compiled: Compiled;
  readonly #matcher: GrammarMatcher | undefined;
  readonly #counted: CountedStrings | undefined;
  #broken = false;
  #thinks: boolean;
  /** The end of what was thought, for finding its end mark. */
  #tail = "";
  /** How much of the end mark was forced; undefined: nothing is forced. */
  #forced: number | undefined;
  #before: Before | undefined;
  #blanks: Blanks = FIRST_BLANKS;

  constructor(set: LaneParts, compiled: Compiled, matcher: GrammarMatcher | undefined) {
    this.#set = set;
    this.#compiled = compiled;
    this.#matcher = matcher;
    if (matcher !== undefined && compiled.limits.length > 0) {
      this.#counted = new CountedStrings(set, matcher, compiled.limits);
    }
    this.#thinks = compiled.thinking !== undefined;
    this.#limit();
  }

  push(token: number): void {
    this.back();
    if (this.#broken) return;
    const thinks = this.#thinks;
    if (!this.#take(token)) this.#broken = true;
    else if (!thinks && this.#set.encode !== undefined) {
      this.#blanks = blanksAfter(this.#blanks, this.#set.vocab.texts[token] ?? "");
    }
  }

  /** Tokens that are likely to be next, as little else may come; no more than a guess. */
  forced(): readonly number[] {
    this.back();
    const { xgrammar, encode } = this.#set;
    if (this.#broken) return [];
    if (this.#forced !== undefined) return this.#endMark(this.#forced);
    if (this.#matcher === undefined || encode === undefined) return [];
    const text = forcedText(xgrammar, this.#matcher, this.#blanks);
    return text === "" ? [] : encode(text);
  }

  /** As if it had come, until the next `back` or `push`. False: it is not taken. */
  guess(token: number): boolean {
    if (this.#broken || this.#set.vocab.ends.includes(token)) return false;
    this.#before ??= {
      count: this.count,
      thinks: this.#thinks,
      tail: this.#tail,
      forced: this.#forced,
      counted: this.#counted?.state,
    };
    if (this.#take(token)) return true;
    this.count--;
    this.back();
    return false;
  }

  /** No guess has come. */
  back(): void {
    const before = this.#before;
    if (before === undefined) return;
    this.#before = undefined;
    const guesses = this.count - before.count;
    if (guesses > 0) this.#matcher?.rollBack(guesses);
    this.count = before.count;
    this.#thinks = before.thinks;
    this.#tail = before.tail;
    this.#forced = before.forced;
    if (before.counted !== undefined) this.#counted!.state = before.counted;
  }

  #take(token: number): boolean {
    this.count++;
    const text = this.#set.vocab.texts[token] ?? "";
    this.#counted?.push(text);
    if (this.#matcher?.acceptToken(token) === false) return false;
    if (this.#thinks) this.#think(token, text);
    return true;
  }

  /** Fills `to`; false: nothing can come, as what was pushed does not keep to the grammar. */
  mask(to: Uint32Array): boolean {
    if (this.#broken) return false;
    if (this.#forced !== undefined) return this.#force(to);
    const { allowed, narrow } = this.#compiled;
    if (this.#matcher === undefined) {
      to.set(allowed);
      return true;
    }
    this.#set.xgrammar.mask(this.#matcher, this.#set.size, (words) => {
      to.set(words.subarray(0, to.length));
      for (const i of narrow) to[i]! &= allowed[i]!;
      this.#counted?.within(words);
    });
    this.#counted?.hold(to);
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

  /** What is left of it. */
  #endMark(from: number): readonly number[] {
    const { tokens } = this.#compiled.thinking!.forced;
    const left: number[] = [];
    for (let token = tokens[from], at = from; token !== undefined; token = tokens[at]) {
      left.push(token);
      at += this.#set.vocab.texts[token]!.length;
    }
    return left;
  }

  #force(to: Uint32Array): boolean {
    const token = this.#compiled.thinking!.forced.tokens[this.#forced!];
    if (token === undefined) return false;
    to.fill(0);
    to[token >>> 5]! |= 1 << (token & 31);
    return true;
  }
}
