/** One answer that keeps to a grammar: what it has so far, and which tokens may come next. */
import type { GrammarMatcher } from "@mlc-ai/web-xgrammar";
import type { Compiled, LaneParts } from "./compiled.ts";
import { CountedStrings } from "./counted-strings.ts";

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
    if (this.#broken) return;
    this.count++;
    const text = this.#set.vocab.texts[token] ?? "";
    this.#counted?.push(text);
    if (this.#matcher?.acceptToken(token) === false) this.#broken = true;
    if (this.#thinks) this.#think(token, text);
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

  #force(to: Uint32Array): boolean {
    const token = this.#compiled.thinking!.forced.tokens[this.#forced!];
    if (token === undefined) return false;
    to.fill(0);
    to[token >>> 5]! |= 1 << (token & 31);
    return true;
  }
}
