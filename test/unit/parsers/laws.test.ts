/** The laws of all parsers, over random outputs and random cuts, for every name of the table. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { REASONING_PARSERS, TOOL_PARSERS } from "../../../llm/parsers/names.ts";
import type { ParserChoice } from "../../../llm/parsers/parser-for.ts";
import { parserMarkers } from "../../../llm/parsers/parser-markers.ts";
import type { Kind } from "../../../llm/parsers/scan/source.ts";
import { eachUnit, parseCut } from "../../support/parsers/parse-cuts.ts";
import { PARSER_TOOLS } from "../../support/parsers/parser-tools.ts";
import { FAMILIES, type Sample, type SampleCall } from "../../support/parsers/render-output.ts";

const TOOLS = Object.keys(TOOL_PARSERS);
const REASONINGS = Object.keys(REASONING_PARSERS);
const THINKS = { chat_template_kwargs: { enable_thinking: true } };
const RUNS = 40;

/** The reasoning parser that goes with a tool parser of a format with messages. */
const FRAMES: Readonly<Record<string, string>> = {
  harmony: "gpt_oss",
  inkling: "inkling",
  kimi_k3: "kimi_k3",
  "kimi-k3": "kimi-k3",
  muse: "muse",
  muse_glimmer: "muse_glimmer",
};
/** Pairs that are checked together: each tool name with a fitting reasoning name, and alone. */
const PAIRS = [
  ...TOOLS.map((tool) => ({ tool, reasoning: FRAMES[tool] ?? "qwen3" })),
  ...TOOLS.map((tool) => ({ tool, reasoning: "none" })),
  ...REASONINGS.map((reasoning) => ({ tool: "none", reasoning })),
  ...REASONINGS.map((reasoning) => ({ tool: "hermes", reasoning })),
];
const title = ({ tool, reasoning }: { tool: string; reasoning: string }) =>
  `${tool} + ${reasoning}`;

const choiceOf = (pair: { tool: string; reasoning: string }): ParserChoice => ({
  ...pair,
  tools: PARSER_TOOLS,
  request: THINKS,
});

const cuts = fc.array(fc.nat(600), { maxLength: 40 });

/** Text full of what markers are made of, without the reserved texts. */
const textWithout = (reserved: readonly string[], trimmed = false) =>
  fc
    .array(
      fc.oneof(
        fc.constantFrom(
          "<",
          ">",
          "</",
          "<|",
          "|>",
          "{",
          "}",
          "[",
          "]",
          '"',
          "\\",
          "\n",
          " ",
          "(",
          ")",
        ),
        fc.constantFrom(
          "<b>",
          "a < b",
          "f(x)",
          "[1, 2]",
          "x[0]",
          "{y: 1}",
          "</tool",
          "<tool_",
          "é計🎉",
        ),
        fc.constantFrom("call", "name", "think", "channel", "```json", "to=", "null", "3", "true"),
        fc.string({ maxLength: 4 }),
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join(""))
    .map((text) => (trimmed ? text.trim() : text))
    .filter((text) => reserved.every((marker) => !text.includes(marker)));

const callsWith = (string: fc.Arbitrary<string>): fc.Arbitrary<SampleCall[]> => {
  const optional = { requiredKeys: [] };
  const weather = fc.record({ city: string, unit: string, days: fc.integer() }, optional);
  const place = fc.record({ room: string, floor: fc.integer(), tags: fc.array(string) }, optional);
  const event = fc.record(
    {
      title: string,
      attendees: fc.array(string, { maxLength: 3 }),
      place,
      priority: fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
      private: fc.boolean(),
      notes: string,
    },
    optional,
  );
  const call = fc.oneof(
    fc.record({ name: fc.constant("get_weather"), arguments: weather }),
    fc.record({ name: fc.constant("create_event"), arguments: event }),
    fc.constant({ name: "list_files", arguments: {} }),
  );
  return fc.array(call, { maxLength: 3 }) as fc.Arbitrary<SampleCall[]>;
};

/** Nothing in it may be taken for a marker or for a call. */
const prose = (pair: { tool: string; reasoning: string }) => {
  const markers = parserMarkers(pair.tool, pair.reasoning);
  const marks = ["[", "functools", "<tool_call>", "<think", "</think", ...markers];
  // White space around content is framing.
  return textWithout(marks, true).filter((text) => !text.startsWith("{") && !/^\s*to/.test(text));
};

const sampleFor = (pair: { tool: string; reasoning: string }): fc.Arbitrary<Sample> => {
  const family = FAMILIES[pair.tool]!;
  const reserved = [...family.reserved, ...parserMarkers(undefined, pair.reasoning)];
  const text = prose(pair);
  return fc.record({
    reasoning: pair.reasoning === "none" ? fc.constant("") : text,
    before: text,
    calls: callsWith(textWithout(reserved, family.trims === true)),
    after: text,
  });
};

function outputOf(tool: string, sample: Sample): string {
  const family = FAMILIES[tool]!;
  if (family.output !== undefined) return family.output(sample);
  const think = sample.reasoning === "" ? "" : `<think>${sample.reasoning}</think>`;
  const block = sample.calls.length === 0 ? "" : (family.block?.(sample.calls) ?? "");
  // Without a call between them the two texts would be one.
  return `${think}${sample.before}${block}${block === "" ? "" : sample.after}`;
}

const compact = (text: string | null) => (text ?? "").replace(/\s+/g, "");
const plainNumbers = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("what a model wrote comes out again, at every cut", () => {
  for (const pair of PAIRS.filter(({ tool }) => tool !== "none" && FAMILIES[tool] !== undefined)) {
    if (pair.reasoning !== "none" && pair.reasoning !== (FRAMES[pair.tool] ?? "qwen3")) continue;
    test(title(pair), () => {
      const family = FAMILIES[pair.tool]!;
      fc.assert(
        fc.property(sampleFor(pair), cuts, (sample, places) => {
          const output = outputOf(pair.tool, sample);
          const parsed = parseCut(choiceOf(pair), output, places);
          const calls = parsed.tool_calls.map((call) => ({
            name: call.name,
            arguments: JSON.parse(call.arguments) as unknown,
          }));
          expect(calls).toEqual(plainNumbers(sample.calls) as typeof calls);
          const after = sample.calls.length > 0 || family.output !== undefined ? sample.after : "";
          const shown = pair.tool.startsWith("kimi") && family.output ? "" : after;
          expect(compact(parsed.content)).toBe(compact(sample.before + shown));
          expect((parsed.reasoning_content ?? "").trim()).toBe(sample.reasoning.trim());
          expect(parsed.finish_reason).toBe(calls.length > 0 ? "tool_calls" : "stop");
        }),
        { numRuns: RUNS },
      );
    });
  }
});

/** Outputs that no model writes: markers, halves of markers, brackets and text in any order. */
const rubble = (pair: { tool: string; reasoning: string }) => {
  const markers = parserMarkers(pair.tool, pair.reasoning);
  const marks = markers.length === 0 ? ["<think>"] : markers;
  const marker = fc.constantFrom(...marks);
  const half = fc.tuple(marker, fc.nat(30)).map(([text, length]) => text.slice(0, length));
  const part = fc.oneof(
    { weight: 4, arbitrary: marker },
    { weight: 2, arbitrary: half },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        '{"name": "get_weather", "arguments": {"city": "Oslo"}}',
        '{"name": "get_weather", ',
        '"parameters": {"city": "O"',
        "get_weather",
        '"get_weather">',
        "city",
        "=",
        ">",
        ")",
        "(",
        "city=",
        '"x"',
        "{",
        "}",
        "[",
        "]",
        ",",
        ";",
        ":",
        "\n",
        "  ",
        " to=get_weather",
        "functions.get_weather",
        "<item>",
        "</city>",
        "<city>",
        '<invoke name="get_weather">',
        "</invoke>",
      ),
    },
    { weight: 2, arbitrary: fc.string({ maxLength: 6 }) },
  );
  return fc.array(part, { maxLength: 25 }).map((parts) => parts.join(""));
};

const finishes = fc.constantFrom("stop", "length");

describe("whatever comes, streamed is whole", () => {
  for (const pair of PAIRS) {
    test(title(pair), () => {
      fc.assert(
        fc.property(rubble(pair), cuts, finishes, (output, places, finish) => {
          const whole = parseCut(choiceOf(pair), output, [], finish);
          expect(parseCut(choiceOf(pair), output, places, finish)).toEqual(whole);
          expect(parseCut(choiceOf(pair), output, eachUnit(output), finish)).toEqual(whole);
        }),
        { numRuns: RUNS },
      );
    });
  }
});

describe("every character is one of content, reasoning, call and markup", () => {
  for (const pair of PAIRS) {
    test(title(pair), () => {
      fc.assert(
        fc.property(rubble(pair), cuts, finishes, (output, places, finish) => {
          const pieces: [Kind, string][] = [];
          const ledger = (kind: Kind, text: string) => pieces.push([kind, text]);
          // Where the prompt says nothing, some formats decide late what text was.
          const opened = /m3|kimi[-_]k3/.test(title(pair)) ? false : undefined;
          const choice = { ...choiceOf(pair), ledger, opened };
          const parsed = parseCut(choice, output, places, finish);
          expect(pieces.map(([, text]) => text).join("")).toBe(output);
          const of = (kind: Kind) =>
            pieces.flatMap(([own, text]) => (own === kind ? [text] : [])).join("");
          if (pair.reasoning === "minimax_append_think") return;
          expect(compact(parsed.content)).toBe(compact(of("content")));
          expect(compact(parsed.reasoning_content)).toBe(compact(of("reasoning")));
        }),
        { numRuns: RUNS },
      );
    });
  }
});

describe("text that looks like markup comes through", () => {
  for (const pair of PAIRS) {
    const markers = parserMarkers(pair.tool, pair.reasoning);
    test(title(pair), () => {
      const near = fc.oneof(
        fc.constantFrom(
          "If a < b then x[0] = {y: [1, 2]}; see <b>docs</b> and [link](http://x/?q=<1>).",
        ),
        fc.constantFrom(...markers.map((marker) => marker.slice(0, -1)), "<thinking>"),
        fc.constantFrom(...markers.map((marker) => `${marker[0]} ${marker.slice(1)}`), "f(x)"),
      );
      const text = fc
        .array(fc.oneof(near, fc.constantFrom(" and ", ". ", ", ")), { maxLength: 8 })
        .map((parts) => `See ${parts.join(" ")}!`)
        .filter((output) => markers.every((marker) => !output.includes(marker)));
      fc.assert(
        fc.property(text, cuts, (output, places) => {
          const parsed = parseCut(choiceOf(pair), output, places);
          const came = (parsed.content ?? "") + (parsed.reasoning_content ?? "");
          const prefix = pair.reasoning === "minimax_append_think" ? "<think>" : "";
          expect(came).toBe(prefix + output);
          expect(parsed.tool_calls).toEqual([]);
        }),
        { numRuns: RUNS },
      );
    });
  }
});

describe("a cut output ends cleanly", () => {
  for (const tool of TOOLS) {
    const pair = { tool, reasoning: FRAMES[tool] ?? "qwen3" };
    const markers = parserMarkers(tool, pair.reasoning).filter((marker) => marker.length > 2);
    test(tool, () => {
      fc.assert(
        fc.property(
          sampleFor(pair),
          fc.double({ min: 0, max: 1, noNaN: true }),
          cuts,
          (sample, part, places) => {
            const output = outputOf(tool, sample);
            const whole = parseCut(choiceOf(pair), output, []);
            const cut = output.slice(0, Math.floor(output.length * part));
            const parsed = parseCut(choiceOf(pair), cut, places, "length");
            expect(parsed.finish_reason).toBe("length");
            expect([...parsed.tool_calls]).toEqual(
              whole.tool_calls.slice(0, parsed.tool_calls.length),
            );
            for (const delta of parsed.deltas) {
              if (delta.kind !== "content" && delta.kind !== "reasoning") continue;
              for (const marker of markers) expect(delta.text).not.toContain(marker);
            }
            // What was shown of the whole answer is shown of the cut one, up to a few characters.
            expect(
              compact(whole.reasoning_content).startsWith(
                compact(parsed.reasoning_content).slice(0, -2),
              ),
            ).toBe(true);
            const ends = parsed.deltas.filter((delta) => delta.kind === "call_end");
            expect(ends.length).toBe(parsed.deltas.filter((delta) => delta.kind === "call").length);
          },
        ),
        { numRuns: RUNS },
      );
    });
  }
});
