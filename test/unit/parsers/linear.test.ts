/** Long outputs in pieces of one unit: nothing is looked at again and again. */
import { describe, expect, test } from "bun:test";
import { REASONING_PARSERS, TOOL_PARSERS } from "../../../llm/parsers/names.ts";
import { parserFor } from "../../../llm/parsers/parser-for.ts";
import { parserMarkers } from "../../../llm/parsers/parser-markers.ts";
import { PARSER_TOOLS } from "../../support/parsers/parser-tools.ts";
import { FAMILIES } from "../../support/parsers/render-output.ts";

const UNITS = 60_000;
/** A linear reader needs a twentieth of it. */
const MOST_MS = 500;

const fill = (text: string): string => text.repeat(Math.ceil(UNITS / text.length)).slice(0, UNITS);

function timeOf(tool: string, reasoning: string, output: string): number {
  const parser = parserFor({ tool, reasoning, tools: PARSER_TOOLS });
  const start = performance.now();
  for (let at = 0; at < output.length; at++) parser.push(output[at]!);
  parser.end("length");
  const whole = parserFor({ tool, reasoning, tools: PARSER_TOOLS });
  whole.push(output);
  whole.end("length");
  return performance.now() - start;
}

describe("every tool parser is linear", () => {
  const formats = new Map(Object.entries(TOOL_PARSERS).map(([name, { format }]) => [format, name]));
  for (const tool of formats.values()) {
    test(tool, () => {
      const family = FAMILIES[tool]!;
      const call = { name: "create_event", arguments: { title: "TITLE", notes: "NOTES" } };
      const sample = { reasoning: "", before: "", calls: [call], after: "" };
      const whole = family.output?.(sample) ?? family.block!([call]);
      const at = whole.indexOf("TITLE");
      const inside = whole.slice(0, at);
      const markers = parserMarkers(tool, "none");
      const halves = markers.map((marker) => marker.slice(0, -1)).join("");
      for (const rest of ["a word ", " ", "\n", "<", "[", "{", '"', "\\", "<<a", halves]) {
        expect(timeOf(tool, "none", fill(rest))).toBeLessThan(MOST_MS);
        expect(timeOf(tool, "none", inside + fill(rest))).toBeLessThan(MOST_MS);
      }
      for (const marker of markers) {
        expect(timeOf(tool, "none", marker + fill("x"))).toBeLessThan(MOST_MS);
        expect(timeOf(tool, "none", marker + fill(" "))).toBeLessThan(MOST_MS);
        expect(timeOf(tool, "none", fill(marker))).toBeLessThan(MOST_MS);
      }
    }, 60_000);
  }
});

describe("every reasoning parser is linear", () => {
  const names = Object.entries(REASONING_PARSERS);
  const formats = new Map(names.map(([name, { format }]) => [format, name]));
  for (const reasoning of formats.values()) {
    test(reasoning, () => {
      for (const text of ["a word ", " ", "<", "[", "Here", ...parserMarkers("none", reasoning)]) {
        expect(timeOf("none", reasoning, fill(text))).toBeLessThan(MOST_MS);
      }
    }, 60_000);
  }
});
