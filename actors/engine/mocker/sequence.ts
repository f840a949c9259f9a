/** One answer in the making, as the scheduler sees it. Extend it to hang data of your own on it. */
import { type Draw, drawOf } from "./drawn-token.ts";

/** Hashes of a sequence's full blocks as words, low half of block i at 2i; more as it grows. */
export interface BlockNames {
  readonly sequence_words: Int32Array;
  readonly local_words: Int32Array;
  /** Full blocks that have a name; later ones get it from `nameTo` or from pushed tokens. */
  readonly count: number;
  nameTo?(count: number): void;
}

export type SequenceState = "new" | "waiting" | "running" | "held" | "ended";

export class Sequence {
  state: SequenceState = "new";
  /** Tokens known: the prompt and what was drawn. */
  length: number;
  /** How many of these tokens have their KV computed; drawing needs all of them. */
  computed = 0;
  /** Tokens drawn here. */
  generated = 0;
  /** Blocks that hold the computed tokens, by slot; all but the last may be shared. */
  readonly blocks: number[] = [];
  /** How many of `blocks`, from the first on, are in the prefix cache. */
  registered = 0;
  /** Prompt tokens that were in the cache when it was first admitted; -1 before that. */
  cached_tokens = -1;
  preemptions = 0;
  /** The last pass that computed tokens of it, and how many, so that they can be undone. */
  pass = -1;
  pass_tokens = 0;
  pass_prompt_tokens = 0;
  /** Guesses of what follows its next token that the pass under way computes. */
  ahead = 0;
  /** Guesses that were computed, and those that were right. */
  guessed = 0;
  accepted = 0;

  constructor(
    readonly names: BlockNames,
    /** Tokens known at submission. */
    readonly prompt_length: number,
    /** Tokens to draw. */
    readonly max_tokens: number,
    /** Tokens whose KV another worker computed and hands over. */
    readonly prefilled_tokens = 0,
    /** Tokens from the first on that may come out of the cache. */
    readonly cacheable_tokens = Number.POSITIVE_INFINITY,
  ) {
    this.length = prompt_length;
  }

  /** By what it is drawn whether a guess is right; one of its own makes answers differ. */
  get draw(): Draw {
    return SAME_FOR_ALL;
  }
}

const SAME_FOR_ALL = drawOf(0n, 0);
