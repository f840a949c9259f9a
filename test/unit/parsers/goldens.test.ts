/**
 * What Dynamo 1.6.1 makes of outputs, or what is right where it is wrong: the cases of every name,
 * cut as they were there, whole, and at random places. Cases in the folder of shared goldens run
 * too, where there is one.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { REASONING_PARSERS, TOOL_PARSERS } from "../../../llm/parsers/names.ts";
import type { ThinkingRequest } from "../../../llm/parsers/parser-for.ts";
import type { ToolShape } from "../../../llm/parsers/scan/reader.ts";
import { eachUnit, parseCut } from "../../support/parsers/parse-cuts.ts";
import { PARSER_TOOLS } from "../../support/parsers/parser-tools.ts";

type Answer = {
  content: string | null;
  reasoning_content: string | null;
  tool_calls: readonly { name: string; arguments: string }[];
  finish_reason: string;
};

type Case = {
  kind: string;
  name: string;
  tool?: string;
  reasoning?: string;
  finish: string;
  tools: readonly ToolShape[];
  request?: ThinkingRequest;
  output: string;
  want: Answer;
};

/** Cases that contradict the law "no markup in content", each with its reason. */
const DISPUTED: Readonly<Record<string, string>> = {
  "tool/inkling/unknown_tool":
    "framing and the tool's name are left in the content; tool/inkling/one_call says they must not",
};

const folder = join(import.meta.dir, "../../support/parsers");
const own: Case[] = (
  JSON.parse(readFileSync(join(folder, "golden-cases.json"), "utf8")) as (Omit<Case, "tools"> & {
    tools: boolean;
  })[]
).map((entry) => ({ ...entry, tools: entry.tools ? PARSER_TOOLS : [] }));

const shared_folder = join(import.meta.dir, "../../../../shared/goldens/parsers");
const shared: Case[] = existsSync(shared_folder)
  ? readdirSync(shared_folder)
      .filter((file) => file.endsWith(".json"))
      .flatMap((file) => sharedCases(readFileSync(join(shared_folder, file), "utf8")))
  : [];

function sharedCases(text: string): Case[] {
  const entries = JSON.parse(text) as Record<string, unknown>[];
  return entries.map((entry) => ({
    kind: String(entry["kind"]),
    name: String(entry["name"]),
    tool: (entry["tool_parser"] ?? "none") as string,
    reasoning: (entry["reasoning_parser"] ?? "none") as string,
    finish: String(entry["engine_finish"]),
    tools: ((entry["tools"] ?? []) as { function: ToolShape }[]).map((tool) => tool.function),
    request: (entry["request"] ?? {}) as ThinkingRequest,
    output: String(entry["output"]),
    want: (entry["right"] ?? entry["unary"]) as Answer,
  }));
}

/** Outer white space is at will, arguments count as values. */
const comparable = (answer: Answer) => ({
  content: (answer.content ?? "").trim(),
  reasoning: (answer.reasoning_content ?? "").trim(),
  calls: answer.tool_calls.map((call) => ({
    name: call.name,
    arguments: JSON.parse(call.arguments) as unknown,
  })),
  finish: answer.finish_reason,
});

/** Cuts after 1, 2, 1, 3, 1, 4 tokens, over and over; words and signs stand for tokens. */
function tokenCuts(output: string): number[] {
  const cuts: number[] = [];
  const lengths = [1, 2, 1, 3, 1, 4];
  let left = lengths[0]!;
  for (const token of output.matchAll(/ ?[\p{L}\p{N}]+|\s+|[^\s\p{L}\p{N}]{1,2}/gu)) {
    left--;
    if (left > 0) continue;
    cuts.push(token.index + token[0].length);
    left = lengths[cuts.length % lengths.length]!;
  }
  return cuts;
}

function check(golden: Case): void {
  const want = comparable(golden.want);
  const at = (cuts: readonly number[]) =>
    comparable(parseCut(golden, golden.output, cuts, golden.finish));
  expect(at([])).toEqual(want);
  expect(at(tokenCuts(golden.output))).toEqual(want);
  expect(at(eachUnit(golden.output))).toEqual(want);
  const anywhere = fc.array(fc.nat(golden.output.length), { maxLength: 30 });
  fc.assert(
    fc.property(anywhere, (cuts) => expect(at(cuts)).toEqual(want)),
    { numRuns: 20 },
  );
}

describe.each([
  ["own", own],
  ["shared", shared],
])("%s cases", (_, cases) => {
  for (const golden of cases) {
    if (Object.hasOwn(DISPUTED, golden.name)) {
      test(`${golden.name}: ${DISPUTED[golden.name]}`, () => expect(() => check(golden)).toThrow());
    } else test(golden.name, () => check(golden));
  }
});

test("every name of the tables has a case of its own", () => {
  const tools = new Set(own.filter(({ kind }) => kind === "tool").map(({ tool }) => tool));
  const reasonings = new Set(own.map(({ reasoning }) => reasoning));
  expect([...tools].sort()).toEqual(Object.keys(TOOL_PARSERS).sort());
  expect(Object.keys(REASONING_PARSERS).filter((name) => !reasonings.has(name))).toEqual([]);
  expect([Object.keys(TOOL_PARSERS).length, Object.keys(REASONING_PARSERS).length]).toEqual([
    36, 35,
  ]);
});
