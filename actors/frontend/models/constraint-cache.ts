/** Texts of constraints that were made lately, by what was asked. */
import type { AnswerWish } from "../../../llm/constraint/answer-constraint.ts";

const KEPT_CONSTRAINTS = 64;
const KEPT_CHARS = 4_194_304;

/** An agent sends the same functions with every request. */
export class ConstraintCache {
  readonly #kept = new Map<string, string>();
  #chars = 0;

  of(wish: AnswerWish, make: () => string): string {
    const key = JSON.stringify(wish);
    const known = this.#kept.get(key);
    if (known !== undefined) {
      // The last one that was used goes last.
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known;
    }
    const made = make();
    this.#kept.set(key, made);
    this.#chars += key.length + made.length;
    for (const [old, text] of this.#kept) {
      if (this.#kept.size <= KEPT_CONSTRAINTS && this.#chars <= KEPT_CHARS) break;
      this.#kept.delete(old);
      this.#chars -= old.length + text.length;
    }
    return made;
  }
}
