/**
 * Prompts that no cache has seen: everything comes from the run's seed, and a run that is not given
 * one draws its own. A repeated prompt would be served from prefix and tokenizer caches and flatter
 * whatever answers it the second time.
 */
import { pickIndex, SeededRandom } from "../../../runtime/simulation/random.ts";
import { words } from "./words.ts";

/**
 * One word in this many is a name nobody has heard of, so that no cache of words holds them all.
 */
const name_every = 20;
/** What such a name of three syllables costs in the usual vocabularies, about. */
const name_tokens = 3;
const syllables = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo zy".split(" ");

export type PromptShape = {
  /** Tokens of input, about; the server's own count is in the result. */
  readonly isl: number;
  /** The part of each prompt, from its beginning, that all requests of the run have in common. */
  readonly shared: number;
};

export class Prompts {
  readonly #shape: PromptShape;
  readonly #seed: number;
  readonly #fresh: SeededRandom;
  readonly #shared: string;

  constructor(shape: PromptShape, seed: number) {
    this.#shape = shape;
    this.#seed = seed;
    this.#fresh = new SeededRandom(seed);
    const shared_tokens = Math.round(shape.isl * shape.shared);
    this.#shared = prose(new SeededRandom(seed + 0.5 * 2 ** 52), shared_tokens);
  }

  /** The next prompt: the shared beginning, then words of its own. */
  next(): string {
    const own_tokens = this.#shape.isl - Math.round(this.#shape.isl * this.#shape.shared);
    return this.#shared + prose(this.#fresh, own_tokens);
  }

  /**
   * A traced prompt: one text per block id, the last one cut, so that two prompts share exactly
   * the blocks that they shared where the trace was taken.
   */
  ofBlocks(hash_ids: readonly number[], block_tokens: number, input_length: number): string {
    let text = "";
    let left = input_length;
    for (const id of hash_ids) {
      if (left <= 0) break;
      text += plain(this.#blockRandom(id), Math.min(left, block_tokens));
      left -= block_tokens;
    }
    return left > 0 ? text + plain(this.#fresh, left) : text;
  }

  #blockRandom(id: number): SeededRandom {
    return new SeededRandom((this.#seed % 2 ** 20) * 2 ** 32 + id);
  }
}

/** A new seed for a run that was given none. */
export const drawSeed = (): number => Math.floor(Math.random() * 2 ** 48);

/** `tokens` tokens of common words with a rare name in between. */
function prose(random: SeededRandom, tokens: number): string {
  let text = "";
  let left = tokens;
  let until_name = name_every;
  while (left > 0) {
    until_name -= 1;
    if (until_name === 0 && left >= name_tokens) {
      until_name = name_every;
      text += ` ${syllable(random)}${syllable(random)}${syllable(random)}`;
      left -= name_tokens;
    } else {
      text += ` ${words[pickIndex(random, words.length)]}`;
      left -= 1;
    }
  }
  return text;
}

function plain(random: SeededRandom, tokens: number): string {
  let text = "";
  for (let i = 0; i < tokens; i += 1) text += ` ${words[pickIndex(random, words.length)]}`;
  return text;
}

const syllable = (random: SeededRandom) => syllables[pickIndex(random, syllables.length)];
