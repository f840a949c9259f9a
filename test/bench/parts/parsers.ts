/**
 * `bun run bench parsers`: what reading an answer costs, by name, in µs a token of four characters.
 *
 *   text    an answer without a call
 *   call    one call with a megabyte of arguments, as that format writes them
 *   units   the same call, one UTF-16 unit at a time
 */
import { TOOL_PARSERS } from "../../../llm/parsers/names.ts";
import { parserFor } from "../../../llm/parsers/parser-for.ts";
import { PARSER_TOOLS } from "../../support/parsers/parser-tools.ts";
import { FAMILIES } from "../../support/parsers/render-output.ts";
import type { Report } from "../bench.ts";
import { rounded } from "../statistics.ts";

const UNITS_A_TOKEN = 4;
const TEXT_UNITS = 1_000_000;
const WORDS = 'It is 3 < 4 in "Oslo" [1, 2]; see <b>docs</b> \\ and {x: y}.\n';
const ROUNDS = 3;

export async function benchParsers(report: Report): Promise<void> {
  const prose = WORDS.repeat(TEXT_UNITS / WORDS.length);
  for (const tool of Object.keys(TOOL_PARSERS)) {
    const call = outputOf(tool, prose.trim());
    report({
      case: tool,
      text_us: rounded(tokenTime(tool, prose, UNITS_A_TOKEN), 3),
      call_us: rounded(tokenTime(tool, call, UNITS_A_TOKEN), 3),
      unit_us: rounded(tokenTime(tool, call, 1), 3),
    });
  }
}

/** A call whose title is this long. */
function outputOf(tool: string, title: string): string {
  const family = FAMILIES[tool]!;
  const calls = [{ name: "create_event", arguments: { title } }];
  const sample = { reasoning: "", before: "", calls, after: "" };
  return family.output?.(sample) ?? family.block!(calls);
}

/** Of the fastest round, µs a piece. */
function tokenTime(tool: string, output: string, units: number): number {
  const pieces: string[] = [];
  for (let at = 0; at < output.length; at += units) pieces.push(output.slice(at, at + units));
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const parser = parserFor({ tool, reasoning: "qwen3", tools: PARSER_TOOLS });
    const start = performance.now();
    for (const piece of pieces) parser.push(piece);
    parser.end("stop");
    best = Math.min(best, performance.now() - start);
  }
  return (best * 1000) / pieces.length;
}
