/** Multiples of a whole number, as grammars of their digits. */
import { digitsOfWidths, wholeBounds } from "./number-rules.ts";
import { type Expression, either, NOTHING, type RuleBook, row } from "./rules.ts";
import type { NumberShape } from "./shape.ts";

/** A rule for each remainder and each digit that is left: larger ones make too many. */
export const MOST_STEP = 1_000;

/** Undefined: none lies between the bounds. Throws GrammarSizeError. */
export function multipleRules(
  shape: NumberShape,
  step: number,
  book: RuleBook,
): Expression | undefined {
  const [low, high] = wholeBounds(shape);
  const digits = new Multiples(step, book);
  const parts: Expression[] = [];
  const add = (from: number, to: number, sign: Expression) => {
    for (const [least, most] of digitsOfWidths(from, to)) {
      const expression = digits.rest(least, most, least.length, 0);
      if (expression !== undefined) parts.push(row(sign, expression));
    }
  };
  if (low < 0) add(Math.max(1, -high), -low, '"-"');
  if (high >= 0) add(Math.max(0, low), high, NOTHING);
  return parts.length === 0 ? undefined : either(parts);
}

class Multiples {
  readonly #step: number;
  readonly #book: RuleBook;
  readonly #known = new Map<string, Expression | undefined>();

  constructor(step: number, book: RuleBook) {
    this.#step = step;
    this.#book = book;
  }

  /**
   * The last digits of a multiple. What they have to be depends on what the digits before them
   * leave, shifted: with 250, only the last three digits matter.
   * @param low the least digits of this width, while those before are the least ones; `high` alike
   */
  rest(
    low: string | undefined,
    high: string | undefined,
    left: number,
    remainder: number,
  ): Expression | undefined {
    if (left === 0) return remainder === 0 ? NOTHING : undefined;
    const least = low === undefined || /^0*$/.test(low) ? undefined : low;
    const most = high === undefined || /^9*$/.test(high) ? undefined : high;
    let shifted = remainder;
    for (let i = 0; i < left; i++) shifted = (shifted * 10) % this.#step;
    const key = `${left} ${shifted} ${least ?? ""} ${most ?? ""}`;
    if (!this.#known.has(key)) this.#known.set(key, this.#made(least, most, left, remainder));
    return this.#known.get(key);
  }

  #made(
    low: string | undefined,
    high: string | undefined,
    left: number,
    remainder: number,
  ): Expression | undefined {
    const first = Number(low?.[0] ?? 0);
    const last = Number(high?.[0] ?? 9);
    const by_next = new Map<Expression, string>();
    for (let digit = first; digit <= last; digit++) {
      const next = this.rest(
        digit === first ? low?.slice(1) : undefined,
        digit === last ? high?.slice(1) : undefined,
        left - 1,
        (remainder * 10 + digit) % this.#step,
      );
      if (next !== undefined) by_next.set(next, `${by_next.get(next) ?? ""}${digit}`);
    }
    if (by_next.size === 0) return undefined;
    return this.#book.rule(either([...by_next].map(([next, digits]) => row(`[${digits}]`, next))));
  }
}
