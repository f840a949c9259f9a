/** What a request may say of its answer's form: what the worker is sent, what is a 400. */
import { describe, expect, test } from "bun:test";
import { ApiError } from "../../../actors/frontend/api/api-error.ts";
import { prepareChat } from "../../../actors/frontend/api/chat/chat.ts";
import { chatFields, chatShape } from "../../../actors/frontend/api/chat/chat-fields.ts";
import { checkNames, checkShape } from "../../../actors/frontend/api/check-body.ts";
import { completionShape } from "../../../actors/frontend/api/completions/completion-fields.ts";
import { prepareCompletion } from "../../../actors/frontend/api/completions/completions.ts";
import { generate } from "../../../actors/frontend/api/generate/generate.ts";
import type { ServedModel } from "../../../actors/frontend/models/served-model.ts";
import { type Constraint, readConstraint } from "../../../llm/constraint/constraint.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { TextGrammar } from "../../support/constraint/random-text.ts";
import { fakeModel, noParsers } from "../../support/worlds/frontend-fakes.ts";

const context = () => ({
  ...{ random: new SeededRandom(1), request: "r", deadline_ms: 1000, pin: "" },
  ...{ default_max_tokens: 500, timed: { begin: () => {}, end: () => {} } },
});

type Given = { tool?: string; reasoning?: string; prompt?: string; card?: ServedModel["card"] };

function chat(more: object, given: Given = {}) {
  const { tool = "hermes", reasoning = "none", prompt = "prompt", card } = given;
  const model = fakeModel(card ?? {}, {
    parsers: { ...noParsers, tool, reasoning },
    renderChat: () => ({ text: prompt }),
  });
  const body = { model: "toy", messages: [{ role: "user", content: "hi" }], ...more };
  checkNames(body, chatFields, "refuse");
  return prepareChat(checkShape(body, chatShape), model, context());
}

function constraint(more: object, given?: Given): Constraint | undefined {
  const text = chat(more, given).answers[0]?.constraint;
  return text === undefined ? undefined : readConstraint(text);
}

/** Whether the whole text, behind a reasoning that was opened, keeps to what the request asks. */
async function takes(more: object, text: string, given?: Given): Promise<boolean> {
  const { format } = constraint(more, given)!;
  const grammar = await TextGrammar.of(format!);
  const accepted = await grammar.accepts(text);
  grammar.dispose();
  return accepted;
}

function refusal(more: object, given?: Given): readonly [string, string | null, string] {
  try {
    chat(more, given);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    expect(error.status).toBe(400);
    expect(error.message).toMatch(/\.$/);
    return [error.code, error.param, error.message];
  }
  throw new Error("it was not refused");
}

const schema = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };
const json_schema = (given: unknown, strict = true) => ({
  response_format: { type: "json_schema", json_schema: { name: "x", schema: given, strict } },
});
const function_of = (name: string, parameters: object = schema, more: object = {}) => ({
  type: "function",
  function: { name, parameters, ...more },
});
const tools = [function_of("f"), function_of("g")];

describe("forms of the text", () => {
  const cases: readonly (readonly [object, string, string])[] = [
    [{ response_format: { type: "json_object" } }, '{"b": [1, {}]}', "[]"],
    [json_schema(schema), '{"a": 5}', '{"a": "5"}'],
    [{ response_format: { type: "json_schema", schema } }, '{"a":5}', "{}"],
    [{ response_format: { type: "json_object", schema } }, '{"a":5}', "{}"],
    [{ guided_json: schema }, '{"a":5}', "{}"],
    [{ guided_json: JSON.stringify(schema) }, '{"a":5}', "{}"],
    [{ guided_regex: "[a-z]+-\\d{2}" }, "ab-12", "ab-1"],
    [{ guided_regex: "^(yes|no)$" }, "no", "no "],
    [{ guided_choice: ["red", "deep blue"] }, "deep blue", "blue"],
    [{ guided_grammar: 'root ::= "a" b\nb ::= [0-9]' }, "a7", "a"],
    [{ structured_outputs: { json: schema } }, '{"a":5}', "{}"],
    [{ structured_outputs: { regex: "x+" } }, "xx", ""],
    [{ structured_outputs: { choice: ["é", "b"] } }, "é", "c"],
    [{ structured_outputs: { grammar: 'root ::= "q"' } }, "q", "r"],
    [{ structured_outputs: { json_object: true, disable_any_whitespace: true } }, "{}", "1"],
    [
      {
        response_format: {
          type: "structural_tag",
          structures: [{ begin: "<f>", schema, end: "</f>" }],
          triggers: ["<f>"],
        },
      },
      'so <f>{"a": 1}</f> it is',
      "so <f>{}</f> it is",
    ],
    [
      {
        structured_outputs: {
          structural_tag: JSON.stringify({
            type: "structural_tag",
            format: {
              type: "tag",
              begin: "[",
              content: { type: "regex", pattern: "\\d" },
              end: "]",
            },
          }),
        },
      },
      "[3]",
      "[x]",
    ],
  ];
  for (const [asked, good, bad] of cases) {
    test(JSON.stringify(asked).slice(0, 90), async () => {
      expect(await takes(asked, good)).toBe(true);
      expect(await takes(asked, bad)).toBe(false);
    });
  }

  test("text, null and nothing leave the answer free", () => {
    for (const asked of [{}, { response_format: { type: "text" } }, { guided_json: null }]) {
      expect(constraint({ ...asked, tools })).toBeUndefined();
    }
  });

  test("the field to blame is where the route has it", () => {
    const [bare] = prepareCompletion(
      checkShape({ model: "toy", prompt: "a", guided_regex: "a" }, completionShape),
      fakeModel({}, {}),
      context(),
    ).answers;
    expect(bare!.constraint_param).toBe("guided_regex");
    const body = { token_ids: [1], sampling_params: { structured_outputs: { regex: "a" } } };
    const scope = { contextOf: context, modelOf: () => fakeModel({}, {}), shaped: checkShape };
    const made = generate.prepare(body, scope as never) as ReturnType<typeof prepareCompletion>;
    const [inner] = made.answers;
    expect(inner!.constraint_param).toBe("sampling_params.structured_outputs.regex");
  });

  test("text completions have them too", async () => {
    const body = { model: "toy", prompt: "p", guided_choice: ["a", "b"] };
    const made = prepareCompletion(checkShape(body, completionShape), fakeModel(), context());
    const { format } = readConstraint(made.answers[0]!.constraint!);
    const grammar = await TextGrammar.of(format!);
    expect(await grammar.accepts("b")).toBe(true);
    expect(made.answers[0]!.constraint_param).toBe("guided_choice");
  });
});

describe("calls", () => {
  const call = (name: string, given = '{"a": 1}') =>
    `<tool_call>\n{"name": "${name}", "arguments": ${given}}\n</tool_call>`;

  test("required: one or more, each of a function and with its arguments", async () => {
    const asked = { tools, tool_choice: "required" };
    expect(await takes(asked, call("f"))).toBe(true);
    expect(await takes(asked, `${call("f")}\n${call("g")}`)).toBe(true);
    for (const wrong of ["", "text", call("h"), call("f", "{}"), `Yes. ${call("f")}`]) {
      expect(await takes(asked, wrong)).toBe(false);
    }
    const single = { ...asked, parallel_tool_calls: false };
    expect(await takes(single, `${call("f")}\n${call("g")}`)).toBe(false);
  });

  test("a function by name: one call of it", async () => {
    const asked = { tools, tool_choice: { type: "function", function: { name: "g" } } };
    expect(await takes(asked, call("g"))).toBe(true);
    for (const wrong of [call("f"), `${call("g")}\n${call("g")}`]) {
      expect(await takes(asked, wrong)).toBe(false);
    }
    expect(chat(asked).parsing?.named).toBe(true);
  });

  test("strict beside free text; without it nothing is held", async () => {
    const strict = [function_of("f", schema, { strict: true })];
    expect(await takes({ tools: strict }, `Sure. ${call("f")}`)).toBe(true);
    expect(await takes({ tools: strict }, "Just <b>text</b>.")).toBe(true);
    expect(await takes({ tools: strict }, call("f", "{}"))).toBe(false);
    expect(constraint({ tools })).toBeUndefined();
  });

  test("beside a form of the text, the answer is that or calls", async () => {
    const asked = { tools, ...json_schema(schema) };
    expect(await takes(asked, '{"a": 1}')).toBe(true);
    expect(await takes(asked, call("f"))).toBe(true);
    expect(await takes(asked, "text")).toBe(false);
  });
});

describe("reasoning", () => {
  const reasoning = "qwen3";

  test("that the prompt opened is free, and the form begins behind it", async () => {
    const given = { reasoning, prompt: "<|im_start|>assistant\n<think>\n" };
    const asked = json_schema(schema);
    expect(constraint(asked, given)?.thinking).toEqual({ end: "</think>" });
    expect(await takes(asked, '\n\n{"a": 1}', given)).toBe(true);
  });

  test("that the request turns on, or the model may open, stands before the form", async () => {
    const silent = json_schema(schema);
    expect(await takes(silent, '{"a": 1}', { reasoning })).toBe(true);
    expect(await takes(silent, '<think></think>{"a": 1}', { reasoning })).toBe(false);
    const asked = { ...silent, chat_template_kwargs: { enable_thinking: true } };
    expect(constraint(asked, { reasoning })?.thinking).toBeUndefined();
    expect(await takes(asked, '<think>so {"</think>\n\n{"a": 1}', { reasoning })).toBe(true);
    expect(await takes(asked, '{"a": 1}', { reasoning })).toBe(true);
    const off = { ...asked, chat_template_kwargs: { enable_thinking: false } };
    const closed = { reasoning, prompt: "<think>\n\n</think>\n\n" };
    expect(await takes(off, '{"a": 1}', closed)).toBe(true);
    expect(await takes(off, '<think></think>{"a": 1}', closed)).toBe(false);
  });

  test("its limit by any of three names; none where there is no reasoning", () => {
    const limit = (more: object, given: Given = { reasoning }) => constraint(more, given);
    const thinking = { end: "</think>", max_tokens: 7 };
    expect(limit({ max_thinking_tokens: 7 })).toEqual({ thinking });
    expect(limit({ thinking_token_budget: 7 })).toEqual({ thinking });
    expect(limit({ nvext: { max_thinking_tokens: 7 } })).toEqual({ thinking });
    expect(limit({ max_thinking_tokens: 7 }, {})).toBeUndefined();
    expect(refusal({ max_thinking_tokens: -1 })[1]).toBe("max_thinking_tokens");
  });

  test("formats of whole messages have the form in their last one", async () => {
    const given = { tool: "harmony", reasoning: "gpt_oss" };
    const asked = { ...json_schema(schema) };
    const final = '<|channel|>final<|message|>{"a": 2}';
    expect(await takes(asked, final, given)).toBe(true);
    const thought = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant";
    expect(await takes(asked, thought + final, given)).toBe(true);
    expect(await takes(asked, '{"a": 2}', given)).toBe(false);
  });
});

describe("what cannot be held is a 400 that names the field", () => {
  const deep = (levels: number): object => (levels === 0 ? {} : { items: deep(levels - 1) });
  const eachWithEach = (lists: number) =>
    Array.from({ length: lists }, (_, i) => ({
      anyOf: [{ required: [`a${i}`] }, { required: [`b${i}`] }],
    }));
  const at = "response_format.json_schema.schema";
  const cases: readonly (readonly [string, object, string])[] = [
    ["two fields", { guided_json: {}, guided_regex: "a" }, "guided_regex"],
    ["two outputs", { structured_outputs: { json: {}, regex: "a" } }, "structured_outputs.regex"],
    ["format and guided", { ...json_schema({}), guided_choice: ["a"] }, "guided_choice"],
    ["no type", { response_format: {} }, "response_format.type"],
    ["another type", { response_format: { type: "xml" } }, "response_format.type"],
    ["no schema", { response_format: { type: "json_schema" } }, "response_format.json_schema"],
    ["a schema that is none", json_schema(5), at],
    ["an unknown type", json_schema({ type: "text" }), `${at}.type`],
    ["a missing reference", json_schema({ $ref: "#/$defs/x" }), `${at}.$ref`],
    ["a foreign reference", json_schema({ $ref: "https://x.org/a" }), `${at}.$ref`],
    ["a reference to itself", json_schema({ $ref: "#" }), `${at}.$ref`],
    [
      "an object that holds itself",
      json_schema({ type: "object", properties: { a: { $ref: "#" } }, required: ["a"] }),
      at,
    ],
    [
      "a contradiction",
      json_schema({ type: "object", required: ["a"], additionalProperties: false }),
      `${at}.required`,
    ],
    ["uniqueItems", json_schema({ type: "array", uniqueItems: true }), `${at}.uniqueItems`],
    ["a broken pattern", json_schema({ type: "string", pattern: "(" }), `${at}.pattern`],
    ["a lookahead", json_schema({ type: "string", pattern: "(?=a)" }), `${at}.pattern`],
    ["an exploding pattern", json_schema({ pattern: "((a{99}){99}){99}" }), `${at}.pattern`],
    ["a deep schema", json_schema(deep(55)), `${at}${".items".repeat(48)}`],
    ["many values", json_schema({ enum: Array.from({ length: 3000 }, (_, i) => i) }), `${at}.enum`],
    ["a large schema", json_schema({ description: "x".repeat(200_000) }), at],
    [
      "many schemas",
      json_schema({ anyOf: Array(200).fill({ anyOf: Array(60).fill({ type: "null" }) }) }),
      at,
    ],
    ["branches multiplied out", json_schema({ allOf: eachWithEach(40) }), `${at}.allOf[8].anyOf`],
    [
      "values that many branches share",
      json_schema({
        enum: Array.from({ length: 2000 }, (_, i) => i),
        anyOf: Array(250).fill({ anyOf: Array(15).fill({ enum: [1] }) }),
      }),
      at,
    ],
    ["a reference that is no text", json_schema({ items: { $ref: 5 } }), `${at}.items.$ref`],
    ["required that is a text", json_schema({ type: "object", required: "a" }), `${at}.required`],
    ["required numbers", json_schema({ type: "object", required: [5] }), `${at}.required`],
    ["a broken regex", { guided_regex: "[" }, "guided_regex"],
    ["a backreference", { guided_regex: "(a)\\1" }, "guided_regex"],
    ["a grammar without root", { guided_grammar: 'start ::= "a"' }, "guided_grammar"],
    ["no choice", { guided_choice: [] }, "guided_choice"],
    ["an empty choice", { guided_choice: ["a", ""] }, "guided_choice[1]"],
    ["text that is no JSON", { guided_json: "{" }, "guided_json"],
    ["an unknown output", { structured_outputs: { xml: "a" } }, "structured_outputs"],
    [
      "a tag of no kind",
      { response_format: { type: "structural_tag", format: { type: "what" } } },
      "response_format.format.type",
    ],
    [
      "a strict function",
      { tools: [function_of("f", { not: {} }, { strict: true })] },
      "tools[0].function.parameters.not",
    ],
    [
      "a broken function",
      { tools: [function_of("f", { $ref: "#/x" })], tool_choice: "required" },
      "tools[0].function.parameters.$ref",
    ],
  ];
  for (const [what, asked, param] of cases) {
    test(what, () => {
      const [code, named, message] = refusal(asked);
      expect([code, named]).toEqual([code, param]);
      expect(message.length).toBeLessThan(600);
    });
  }

  test("an engine that holds nothing says so, whatever asks", () => {
    const { card } = fakeModel({
      capabilities: { constrains: false, adapters: false, salts: false },
    });
    const asked: readonly (readonly [object, string])[] = [
      [json_schema({}), "response_format.json_schema.schema"],
      [{ tools, tool_choice: "required" }, "tool_choice"],
      [{ tools: [function_of("f", {}, { strict: true })] }, "tools[0].function.strict"],
      [{ max_thinking_tokens: 5 }, "max_thinking_tokens"],
    ];
    for (const [more, param] of asked) {
      expect(refusal(more, { card }).slice(0, 2)).toEqual(["not_supported", param]);
    }
    expect(chat({ tools }, { card }).answers[0]?.constraint).toBeUndefined();
  });
});
