import { describe, expect, test } from "bun:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { RuleBook } from "../../../llm/constraint/schema/rules.ts";
import { type Tool, ToolSchemaError } from "../../../llm/constraint/tools/family.ts";
import {
  callsExpression,
  textWithCalls,
  toolFamily,
} from "../../../llm/constraint/tools/tool-grammar.ts";
import { foldDeltas } from "../../../llm/parsers/answer-parser.ts";
import { TOOL_PARSERS } from "../../../llm/parsers/names.ts";
import { parserFor } from "../../../llm/parsers/parser-for.ts";
import { anyParameters } from "../../support/constraint/random-schema.ts";
import { seeded, TextGrammar } from "../../support/constraint/random-text.ts";

const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);

describe("every text of a tool parser's grammar is calls that the parser reads", () => {
  for (const parser of Object.keys(TOOL_PARSERS)) {
    test(parser, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(anyParameters, { minLength: 1, maxLength: 3 }),
          fc.boolean(),
          fc.integer(),
          async (parameters, many, seed) => {
            const tools = parameters.map((each, i) => ({
              name: `tool_${i}`,
              parameters: each,
              strict: true,
            }));
            const book = new RuleBook();
            let root: string;
            try {
              root = callsExpression(toolFamily(parser)!, { tools, many }, book);
            } catch (error) {
              // A property that has to be there and that this format cannot write.
              if (error instanceof ToolSchemaError) return;
              throw error;
            }
            const grammar = await TextGrammar.of(book.text(root));
            const validators = new Map(
              tools.map(({ name, parameters: schema }) => [name, ajv.compile(schema)]),
            );
            const random = seeded(seed);
            for (let i = 0; i < 2; i++) {
              const text = await grammar.draw(random);
              if (text === undefined) continue;
              const reader = parserFor({ tool: parser, tools });
              const deltas = [...reader.push(text)];
              const { deltas: last, finish_reason } = reader.end("stop");
              const { tool_calls, content } = foldDeltas([...deltas, ...last]);
              const where = JSON.stringify({ text, tool_calls });
              expect(finish_reason, where).toBe("tool_calls");
              expect((content ?? "").trim(), where).toBe("");
              if (!many) expect(tool_calls.length, where).toBe(1);
              for (const call of tool_calls) {
                const validate = validators.get(call.name);
                if (validate === undefined) throw new Error(`no tool: ${where}`);
                const fits = validate(JSON.parse(call.arguments));
                if (!fits) throw new Error(`${where} ${JSON.stringify(validate.errors)}`);
              }
            }
            grammar.dispose();
          },
        ),
        { numRuns: 3 },
      );
    }, 60_000);
  }
});

const WEATHER = {
  name: "get_weather",
  strict: true,
  parameters: {
    type: "object",
    properties: {
      city: { type: "string" },
      days: { type: "integer", minimum: 1, maximum: 5 },
      unit: { enum: ["celsius", "kelvin"] },
    },
    required: ["city", "unit"],
  },
};
const NOW = { name: "now", strict: false, parameters: undefined };

describe("in free text a call is one of the tools' or none", () => {
  for (const parser of Object.keys(TOOL_PARSERS)) {
    test(parser, async () => {
      const family = toolFamily(parser)!;
      const texts = async (tools: readonly Tool[], count: number) => {
        const book = new RuleBook();
        const root = callsExpression(family, { tools, many: false }, book);
        const grammar = await TextGrammar.of(book.text(root));
        const random = seeded(5);
        const drawn: string[] = [];
        while (drawn.length < count) drawn.push((await grammar.draw(random)) ?? "");
        grammar.dispose();
        return drawn.filter((text) => text !== "");
      };
      const book = new RuleBook();
      const tools = [WEATHER, NOW];
      const root = textWithCalls(family, { tools, many: true }, [["<think>", '"</think>"']], book);
      const grammar = await TextGrammar.of(book.text(root!));
      const wrong = {
        ...WEATHER,
        parameters: {
          type: "object",
          properties: { town: WEATHER.parameters.properties.city },
          required: ["town"],
        },
      };
      for (const text of ["", "plain <b>text</b>, 3 > 2", "<think></think>and so on"]) {
        expect([text, await grammar.accepts(text)]).toEqual([text, true]);
      }
      for (const text of await texts(tools, 4)) {
        const before = family.first === undefined ? "One moment. " : "";
        const whole = `${before}${text}`;
        expect([whole, await grammar.accepts(whole)]).toEqual([whole, true]);
      }
      for (const text of await texts([wrong], 2)) {
        expect([text, await grammar.accepts(text)]).toEqual([text, false]);
      }
      grammar.dispose();
    }, 30_000);
  }
});

test("free text beside strings of a limited length is not counted", async () => {
  const label = { type: "object", properties: { short: { type: "string", maxLength: 1 } } };
  const properties = { label, city: { type: "string" } };
  const parameters = { type: "object", properties, required: ["city"] };
  const book = new RuleBook();
  const tools = [{ name: "f", parameters, strict: true }];
  const root = callsExpression(toolFamily("qwen3_coder")!, { tools, many: false }, book);
  const grammar = await TextGrammar.of(book.text(root));
  const call = (city: string) =>
    `<tool_call>\n<function=f>\n<parameter=city>\n${city}\n</parameter>\n</function>\n</tool_call>`;
  for (const city of ["Oslo", 'S"', 'a "quoted" town', '""']) {
    expect([city, await grammar.accepts(call(city))]).toEqual([city, true]);
  }
  expect(await grammar.accepts(call("\u0001"))).toBe(false);
});
