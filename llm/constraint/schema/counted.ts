/**
 * Strings of a limited length whose characters are counted beside the grammar.
 *
 * A repeat with a count is compiled once for each of its places, each time against the whole
 * vocabulary. So the grammar of such a string has no count: it holds a mark in each place, a text
 * that no token has. Whoever makes masks gives the matcher tokens of these marks: where one of them
 * may come next, the answer is within a string of that limit (`actors/engine/grammar/lane.ts`).
 */
import { type Expression, GrammarSizeError, type RuleBook } from "./rules.ts";

/** In characters (code points). */
export type StringLimit = { readonly min: number; readonly max: number | undefined };

/** Different limits of one constraint. */
export const MOST_LIMITS = 64;

/** No JSON text has it. A token that has it is never part of an answer with limits. */
export const MARK = "\u0001";
const WAITS = '"\\u0001"';

/** A rule that no text fits, to be one of the choices of each place of the string. */
export function limitMark({ min, max }: StringLimit, book: RuleBook): Expression {
  const name = `counted-${min}-${max ?? ""}`;
  return book.shared(name, () => {
    book.define(name, `${WAITS} ${name}`);
    return name;
  });
}

/** The text of the mark of the limit of this number. */
export const markText = (number: number): string => MARK + String.fromCharCode(FIRST + number);

const FIRST = 0x30;
const RULE = /^counted-(\d+)-(\d*) ::= "\\u0001" counted-\d+-\d*$/gm;

/** Gives marks their numbers, in the order of `limits`, which gets those that are not in it. */
export function numberMarks(grammar: string, limits: StringLimit[]): string {
  return grammar.replace(RULE, (_, least: string, most: string) => {
    const limit = { min: Number(least), max: most === "" ? undefined : Number(most) };
    let number = limits.findIndex(({ min, max }) => min === limit.min && max === limit.max);
    if (number < 0) number = limits.push(limit) - 1;
    if (number >= MOST_LIMITS) throw new GrammarSizeError(`${MOST_LIMITS} limits of strings`);
    const char = (FIRST + number).toString(16).padStart(4, "0");
    const name = `counted-${least}-${most}`;
    return `${name} ::= "\\u0001\\u${char}" ${name}`;
  });
}
