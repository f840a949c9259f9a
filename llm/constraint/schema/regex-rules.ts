/** A regular expression as a grammar, by how a format writes single characters. */
import type { CharSet } from "./char-set.ts";
import type { Regex } from "./regex.ts";
import { type Expression, either, NOTHING, type RuleBook, row, times } from "./rules.ts";

/** One character of the set, as the format writes it; undefined: it can write none of them. */
export type WriteChar = (set: CharSet) => Expression | undefined;

const LITERAL = /^"(?:[^"\\]|\\.)+"$/;

/** Undefined: no text fits. `regex` has no anchors. */
export function regexRules(regex: Regex, write: WriteChar, book: RuleBook): Expression | undefined {
  switch (regex.kind) {
    case "chars":
      return write(regex.set);
    case "row": {
      const parts: Expression[] = [];
      for (const part of regex.parts) {
        const expression = regexRules(part, write, book);
        if (expression === undefined) return undefined;
        const last = parts.at(-1);
        // Letters in a row are one text.
        if (last !== undefined && LITERAL.test(last) && LITERAL.test(expression)) {
          parts[parts.length - 1] = last.slice(0, -1) + expression.slice(1);
        } else parts.push(expression);
      }
      return row(...parts);
    }
    case "either": {
      const choices = regex.choices.flatMap((choice) => regexRules(choice, write, book) ?? []);
      return choices.length === 0 ? undefined : either(choices);
    }
    case "times": {
      const of = regexRules(regex.of, write, book);
      if (of === undefined) return regex.min === 0 ? NOTHING : undefined;
      const one = /^(?:\[[^\]]*\]|\w+|"[^"\\]*")$/.test(of) ? of : book.rule(of);
      return times(one, regex.min, regex.max);
    }
    default:
      return NOTHING;
  }
}
