/** Calls of functions as grammars: what a model of a family may write, and nothing else. */
import { ALL_CHARS, type CharSet, charsOf, union, without } from "../schema/char-set.ts";
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
import { type Calls, readTools, type Tool, type ToolFamily } from "./family.ts";
import { TOOL_FAMILIES } from "./tool-families.ts";

export type CallWish = {
  readonly tools: readonly Tool[];
  /** Several calls in one answer. */
  readonly many: boolean;
};

/** Undefined: this parser's calls have no grammar. */
export function toolFamily(parser: string): ToolFamily | undefined {
  return Object.hasOwn(TOOL_FAMILIES, parser) ? TOOL_FAMILIES[parser] : undefined;
}

/** An answer that is calls and nothing else. Throws ToolSchemaError or GrammarSizeError. */
export function callsExpression(
  family: ToolFamily,
  { tools, many }: CallWish,
  book: RuleBook,
): Expression {
  return family.all({ book, tools: readTools(tools), many });
}

/**
 * Free text in which every call is one of the tools'. Undefined: calls of this family cannot be
 * told from text before they are whole. Throws ToolSchemaError or GrammarSizeError.
 * @param passed texts that begin with the first and end with the second pass as they are
 */
export function textWithCalls(
  family: ToolFamily,
  { tools, many }: CallWish,
  passed: readonly (readonly [string, Expression])[],
  book: RuleBook,
): Expression | undefined {
  if (family.behind === undefined) return undefined;
  const calls: Calls = { book, tools: readTools(tools), many };
  const openers = [...family.behind(calls), ...passed].map(
    ([opener, behind]) => [opener, book.rule(behind)] as const,
  );
  const tags = openers.map(([opener, behind]) => `(${literal(opener)}, ${behind})`);
  const text = book.rule(
    `TagDispatch(${tags.join(", ")}, stop_eos=true, loop_after_dispatch=true)`,
  );
  if (family.first === undefined) return text;
  const otherwise = textFrom(openers, charsOf(family.first), text, book);
  return book.rule(either([family.all(calls), row(times(SPACE, 0, undefined), otherwise)]));
}

const SPACES = charsOf(" \t\n\r");
const SPACE = oneOf(SPACES)!;

/** `text` that does not begin with one of `not`; an opener at its beginning is one. */
function textFrom(
  openers: readonly (readonly [string, Expression])[],
  not: CharSet,
  text: Expression,
  book: RuleBook,
): Expression {
  const firsts = [...new Set(openers.map(([opener]) => opener[0]!))];
  const known = new Map<string, Expression>();
  const after = (written: string): Expression => {
    const made = known.get(written);
    if (made !== undefined) return made;
    const rule = book.declare();
    known.set(written, rule);
    const nexts = new Map<string, Expression>();
    for (const first of firsts) nexts.set(first, row(literal(first), after(first)));
    for (const [opener, behind] of openers) {
      const next = opener[written.length];
      if (next === undefined || !opener.startsWith(written)) continue;
      const longer = written + next;
      const rest = longer === opener ? row(behind, text) : after(longer);
      nexts.set(next, row(literal(next), rest));
    }
    const barred = written === "" ? union(not, SPACES) : [];
    const others = oneOf(without(othersThan(ALL_CHARS, [...nexts.keys()]), barred));
    const free = others === undefined ? [] : [row(others, text)];
    book.define(rule, either([NOTHING, ...free, ...nexts.values()]));
    return rule;
  };
  return after("");
}
