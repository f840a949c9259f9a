/**
 * Prompts of a known number of tokens on an endpoint whose tokenizer is unknown. Two answers tell
 * what a word costs and what the chat template adds; from then on every answer's own count corrects
 * the prompts of its length.
 */
import { Prompts } from "../load/prompts.ts";

/** What the server counted for a prompt of so many words. */
export type Counted = { readonly words: number; readonly tokens: number };

export class UnknownLengthError extends Error {
  readonly code = "unknown_length";
}

export class KnownLengthPrompts {
  readonly #prompts: Prompts;
  readonly #tokens_per_word: number;
  readonly #overhead_tokens: number;
  /** Wanted tokens → words more than the rate says. */
  readonly #corrections = new Map<number, number>();

  /** Throws UnknownLengthError when the counts cannot be those of the prompts. */
  constructor(seed: number, short: Counted, long: Counted) {
    this.#prompts = new Prompts({ isl: 0, shared: 0 }, seed);
    this.#tokens_per_word = (long.tokens - short.tokens) / (long.words - short.words);
    this.#overhead_tokens = Math.max(0, short.tokens - short.words * this.#tokens_per_word);
    if (!(this.#tokens_per_word > 0)) {
      throw new UnknownLengthError(
        `the endpoint counts ${short.tokens} prompt tokens for ${short.words} words and ` +
          `${long.tokens} for ${long.words}: without usage.prompt_tokens no length is known`,
      );
    }
  }

  get tokens_per_word(): number {
    return this.#tokens_per_word;
  }

  get overhead_tokens(): number {
    return this.#overhead_tokens;
  }

  /** The prompt `id`; a longer one of the same id begins with a shorter one. */
  text(id: number, tokens: number): string {
    const exact = (tokens - this.#overhead_tokens) / this.#tokens_per_word;
    const words = Math.max(1, Math.round(exact) + (this.#corrections.get(tokens) ?? 0));
    return wordsOf(this.#prompts, id, words);
  }

  /** The server counted `counted` tokens in a prompt that was to have `tokens`. */
  correct(tokens: number, counted: number): void {
    const words = Math.round((tokens - counted) / this.#tokens_per_word);
    if (words === 0) return;
    this.#corrections.set(tokens, (this.#corrections.get(tokens) ?? 0) + words);
  }
}

export function wordsOf(prompts: Prompts, id: number, words: number): string {
  return prompts.ofBlocks([id], words, words);
}
