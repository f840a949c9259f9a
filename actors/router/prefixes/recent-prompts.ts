/**
 * The beginnings of the last prompts, for a person who asks what is shared. At most so many a
 * second are kept, so that a busy router pays a comparison a request and the ring still covers a
 * while.
 */
import type { HashPairs } from "../../../llm/blocks/block-table.ts";

/** Prompts kept, and blocks of each: 2 MB at most. */
const PROMPTS_MAX = 512;
const BLOCKS_MAX = 512;
/** Time between two that are kept, on average; a few may come at once. */
const SPACING_MS = 20;
const AT_ONCE = 16;

export class RecentPrompts {
  readonly #ring: (HashPairs | undefined)[] = [];
  #next = 0;
  /** Routed since the router began. */
  seen = 0;
  /** Those that may still be kept now. */
  #allowed = AT_ONCE;
  #at_ms = 0;

  note(hashes: HashPairs, now_ms: number): void {
    this.seen += 1;
    if (hashes.length < 2) return;
    this.#allowed = Math.min(AT_ONCE, this.#allowed + (now_ms - this.#at_ms) / SPACING_MS);
    this.#at_ms = now_ms;
    if (this.#allowed < 1) return;
    this.#allowed -= 1;
    // A copy: the request's own row may lie in a larger message.
    this.#ring[this.#next] = hashes.slice(0, 2 * BLOCKS_MAX);
    this.#next = (this.#next + 1) % PROMPTS_MAX;
  }

  get prompts(): readonly HashPairs[] {
    return this.#ring.filter((each) => each !== undefined);
  }
}
