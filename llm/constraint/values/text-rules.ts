/** Texts that end at a mark, and names that are none of some others. */
import { ALL_CHARS, type CharSet } from "../schema/char-set.ts";
import {
  type Expression,
  either,
  literal,
  NOTHING,
  oneOf,
  othersThan,
  type RuleBook,
  row,
  times,
} from "../schema/rules.ts";

/** How a text is written unit by unit. */
export type UnitStyle = {
  /** Characters that stand for themselves. */
  readonly plain: CharSet;
  /** Anything else that may stand for a character; none of it is a part of the mark. */
  readonly escapes: readonly Expression[];
};

/**
 * Any text without `mark` in it, and then `close`. The states are how much of the mark stands at
 * the end of what was written (Knuth, Morris and Pratt).
 * @param close the mark itself, or what ends the text otherwise and begins with no character of it
 */
export function textWithout(
  mark: string,
  close: string,
  { plain, escapes }: UnitStyle,
  book: RuleBook,
): Expression {
  const units = [...mark];
  book.mention(mark);
  const names = units.map(() => book.declare());
  units.forEach((_, state) => {
    const written = units.slice(0, state);
    const nexts = new Map<string, number>();
    for (const char of new Set(units)) {
      const reached = longestBeginning(units, [...written, char]);
      if (reached > 0) nexts.set(char, reached);
    }
    const choices: Expression[] = [];
    const others = oneOf(othersThan(plain, [...nexts.keys()]));
    if (others !== undefined) choices.push(row(others, names[0]!));
    for (const [char, next] of nexts) {
      if (next < units.length) choices.push(row(literal(char), names[next]!));
      else if (close === mark) choices.push(literal(char));
    }
    for (const escaped of escapes) choices.push(row(escaped, names[0]!));
    if (close !== mark) choices.push(literal(close));
    book.define(names[state]!, either(choices));
  });
  return names[0]!;
}

/** The most units of the mark's beginning that `text` ends with. */
function longestBeginning(mark: readonly string[], text: readonly string[]): number {
  for (let length = Math.min(mark.length, text.length); length > 0; length--) {
    const isEnd = mark.slice(0, length).every((unit, i) => unit === text[text.length - length + i]);
    if (isEnd) return length;
  }
  return 0;
}

/**
 * Free text with at most two line breaks in a row up to the mark, and the mark: a small model that
 * has nothing to think would break lines until its tokens are spent.
 */
export function thoughtUntil(mark: string, book: RuleBook): Expression {
  const units = [...mark];
  book.mention(mark);
  const line = "\n";
  const names = new Map<string, string>();
  const nameOf = (state: number, lines: number): string => {
    const key = `${state} ${lines}`;
    const known = names.get(key);
    if (known !== undefined) return known;
    const name = book.declare();
    names.set(key, name);
    const written = units.slice(0, state);
    const nexts = new Map<string, number>();
    for (const char of new Set(units)) {
      const reached = longestBeginning(units, [...written, char]);
      if (reached > 0) nexts.set(char, reached);
    }
    const choices: Expression[] = [];
    const others = oneOf(othersThan(ALL_CHARS, [line, ...nexts.keys()]));
    if (others !== undefined) choices.push(row(others, nameOf(0, 0)));
    if (lines < MAX_LINE_BREAKS && !nexts.has(line)) {
      choices.push(row(literal(line), nameOf(0, lines + 1)));
    }
    for (const [char, next] of nexts) {
      const rest = next < units.length ? nameOf(next, 0) : NOTHING;
      choices.push(row(literal(char), rest));
    }
    book.define(name, either(choices));
    return name;
  };
  return nameOf(0, 0);
}

const MAX_LINE_BREAKS = 2;

/** Free text up to the mark, and the mark. */
export const textUntil = (mark: string, book: RuleBook): Expression =>
  book.shared(`until ${mark}`, () =>
    textWithout(mark, mark, { plain: ALL_CHARS, escapes: [] }, book),
  );

type Branch = { ends: boolean; readonly nexts: Map<string, Branch> };

/** A name of these characters that is none of `names`, and then `close`. */
export function otherName(
  names: readonly string[],
  first: CharSet,
  chars: CharSet,
  close: Expression,
  book: RuleBook,
): Expression {
  const root: Branch = { ends: true, nexts: new Map() };
  for (const name of names) {
    let branch = root;
    for (const char of name) {
      let next = branch.nexts.get(char);
      if (next === undefined) {
        next = { ends: false, nexts: new Map() };
        branch.nexts.set(char, next);
      }
      branch = next;
    }
    branch.ends = true;
  }
  const tail = book.rule(row(times(oneOf(chars) ?? NOTHING, 0, undefined), close));
  const expression = (branch: Branch, allowed: CharSet): Expression => {
    const choices: Expression[] = branch.ends ? [] : [close];
    const others = oneOf(othersThan(allowed, [...branch.nexts.keys()]));
    if (others !== undefined) choices.push(row(others, tail));
    for (const [char, next] of branch.nexts) {
      const code = char.codePointAt(0) ?? 0;
      if (!allowed.some(([from, to]) => from <= code && code <= to)) continue;
      choices.push(row(literal(char), book.rule(expression(next, chars))));
    }
    return choices.length === 0 ? close : either(choices);
  };
  return expression(root, first);
}
