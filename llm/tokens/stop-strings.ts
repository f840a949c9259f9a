export type StopResult = {
  /** Text that is safe to show. */
  readonly text: string;
  /** The stop string that was found; the answer ends with `text`. */
  readonly stop: string | undefined;
};

/**
 * Finds stop strings in text that comes in pieces. Holds back only what may be the beginning of a
 * stop string; of several matches the one that ends first counts, of those the longest.
 */
export class StopMatcher {
  readonly #stops: readonly Automaton[];
  #held = "";
  #found: string | undefined;

  /** `include`: the stop string itself is part of the answer. Empty strings never match. */
  readonly #include: boolean;

  constructor(stops: readonly string[], include = false) {
    this.#include = include;
    this.#stops = stops.filter((stop) => stop !== "").map((stop) => new Automaton(stop));
  }

  /** There is nothing to look for: text goes through as it is. */
  get idle(): boolean {
    return this.#stops.length === 0;
  }

  /** Nothing more comes out once a stop string was found. */
  push(text: string): StopResult {
    if (this.#found !== undefined) return { text: "", stop: this.#found };
    if (this.#stops.length === 0) return { text, stop: undefined };
    const joined = this.#held + text;
    for (let at = this.#held.length; at < joined.length; at++) {
      const stop = this.#step(joined.charCodeAt(at));
      if (stop === undefined) continue;
      this.#held = "";
      this.#found = stop;
      const start = at + 1 - stop.length;
      return { text: joined.slice(0, this.#include ? at + 1 : start), stop };
    }
    let keep = 0;
    for (const stop of this.#stops) keep = Math.max(keep, stop.matched);
    this.#held = joined.slice(joined.length - keep);
    return { text: joined.slice(0, joined.length - keep), stop: undefined };
  }

  /** The answer ended: what was held back is text after all. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    for (const stop of this.#stops) stop.matched = 0;
    return rest;
  }

  #step(unit: number): string | undefined {
    let longest: string | undefined;
    for (const stop of this.#stops) {
      if (stop.step(unit) && stop.text.length > (longest?.length ?? 0)) longest = stop.text;
    }
    return longest;
  }
}

/** Knuth–Morris–Pratt over UTF-16 units: linear, whatever the client sends as stop strings. */
class Automaton {
  /** How much of the string the text so far ends with. */
  matched = 0;
  readonly #fall_back: Uint32Array;

  constructor(readonly text: string) {
    this.#fall_back = new Uint32Array(text.length);
    let length = 0;
    for (let i = 1; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      while (length > 0 && text.charCodeAt(length) !== unit) length = this.#fall_back[length - 1]!;
      if (text.charCodeAt(length) === unit) length++;
      this.#fall_back[i] = length;
    }
  }

  /** True when the text now ends with the whole string. */
  step(unit: number): boolean {
    const { text } = this;
    if (this.matched === text.length) this.matched = this.#fall_back[text.length - 1]!;
    while (this.matched > 0 && text.charCodeAt(this.matched) !== unit) {
      this.matched = this.#fall_back[this.matched - 1]!;
    }
    if (text.charCodeAt(this.matched) === unit) this.matched++;
    return this.matched === text.length;
  }
}
