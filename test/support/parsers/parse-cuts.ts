import type { ParsedAnswer, ParsedDelta } from "../../../llm/parsers/answer-parser.ts";
import { foldDeltas } from "../../../llm/parsers/answer-parser.ts";
import { type ParserChoice, parserFor } from "../../../llm/parsers/parser-for.ts";

export type Parsed = ParsedAnswer & {
  readonly finish_reason: string;
  readonly deltas: readonly ParsedDelta[];
};

/** The text, cut at these places of it, given to a parser piece by piece. */
export function parseCut(
  choice: ParserChoice,
  output: string,
  cuts: readonly number[],
  finish = "stop",
): Parsed {
  const parser = parserFor(choice);
  const deltas: ParsedDelta[] = [];
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const to = Math.min(cut, output.length);
    deltas.push(...parser.push(output.slice(from, to)));
    from = to;
  }
  deltas.push(...parser.push(output.slice(from)));
  const end = parser.end(finish);
  deltas.push(...end.deltas);
  return { ...foldDeltas(deltas), finish_reason: end.finish_reason, deltas: merged(deltas) };
}

export const eachUnit = (output: string): number[] => Array.from(output, (_, index) => index);

/** Neighbours of one kind as one delta: what does not depend on how the text was cut. */
function merged(deltas: readonly ParsedDelta[]): ParsedDelta[] {
  const all: ParsedDelta[] = [];
  for (const delta of deltas) {
    const last = all.at(-1);
    if (
      last !== undefined &&
      "text" in last &&
      "text" in delta &&
      last.kind === delta.kind &&
      (last.kind !== "arguments" || delta.kind !== "arguments" || last.index === delta.index)
    ) {
      all[all.length - 1] = { ...last, text: last.text + delta.text };
    } else all.push(delta);
  }
  return all;
}
