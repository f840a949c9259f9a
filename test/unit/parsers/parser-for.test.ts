/** What the chat routes rely on: deltas in order, thinking by request and prompt, names. */
import { describe, expect, test } from "bun:test";
import type { ParsedDelta } from "../../../llm/parsers/answer-parser.ts";
import { ParserNameError } from "../../../llm/parsers/names.ts";
import { parserFor, promptOpens, thinking } from "../../../llm/parsers/parser-for.ts";
import { parserMarkers } from "../../../llm/parsers/parser-markers.ts";
import { parseCut } from "../../support/parsers/parse-cuts.ts";
import { PARSER_TOOLS } from "../../support/parsers/parser-tools.ts";

const tools = PARSER_TOOLS;

function deltasOf(choice: Parameters<typeof parserFor>[0], pieces: readonly string[]) {
  const parser = parserFor({ tools, ...choice });
  const deltas: ParsedDelta[] = pieces.flatMap((piece) => [...parser.push(piece)]);
  return [...deltas, ...parser.end("stop").deltas];
}

describe("deltas", () => {
  test("a call's name comes once, its arguments as they are made", () => {
    expect(
      deltasOf({ tool: "hermes" }, [
        "Sure. <tool_",
        'call>\n{"name": "get_weather", "argu',
        'ments": {"ci',
        'ty": "Os',
        'lo"}}\n</tool_call>',
      ]),
    ).toEqual([
      { kind: "content", text: "Sure. " },
      { kind: "call", index: 0, name: "get_weather" },
      { kind: "arguments", index: 0, text: '{"ci' },
      { kind: "arguments", index: 0, text: 'ty": "Os' },
      { kind: "arguments", index: 0, text: 'lo"}' },
      { kind: "call_end", index: 0, complete: true },
    ]);
  });

  test("a string of a format without JSON flows before it ends", () => {
    const deltas = deltasOf({ tool: "qwen3_coder" }, [
      "<tool_call>\n<function=create_event>\n<parameter=title>\nA long",
      ' "title"\n',
      "on two lines\n</parameter>\n<parameter=private>\ntr",
      "ue\n</parameter>\n</function>\n</tool_call>",
    ]);
    expect(deltas.map((delta) => ("text" in delta ? delta.text : delta.kind))).toEqual([
      "call",
      '{"title":"A long',
      ' \\"title\\"',
      '\\non two lines","private":',
      "true}",
      "call_end",
    ]);
  });

  test("a call that is cut ends, and does not count", () => {
    const parsed = parseCut(
      { tool: "hermes", tools },
      '<tool_call>{"name": "list_files", "arguments": {',
      [],
    );
    expect(parsed.tool_calls).toEqual([]);
    expect(parsed.finish_reason).toBe("stop");
    expect(parsed.deltas.at(-1)).toEqual({ kind: "call_end", index: 0, complete: false });
  });

  test("the id that Kimi writes is the call's", () => {
    const [call] = deltasOf({ tool: "kimi_k2" }, [
      "<|tool_calls_section_begin|><|tool_call_begin|>functions.list_files:3<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
    ]);
    expect(call).toEqual({
      kind: "call",
      index: 0,
      name: "list_files",
      id: "functions.list_files:3",
    });
  });

  test("a marker of the reasoning in an argument is text", () => {
    const output =
      '<tool_call>{"name": "get_weather", "arguments": {"city": "</think><think>"}}</tool_call>';
    const parsed = parseCut({ tool: "hermes", reasoning: "qwen3", tools }, output, []);
    expect(parsed.tool_calls[0]?.arguments).toBe('{"city": "</think><think>"}');
    expect(parsed.reasoning_content).toBeNull();
  });
});

describe("what looks like a call", () => {
  const content = (tool: string, output: string) => parseCut({ tool, tools }, output, []).content;

  test("an opener in prose is prose", () => {
    for (const text of [
      "Use the <tool_call> tag.",
      "functools[0] is no call, functools is a module",
      "x[f(a=1)] and [see (this)] and [link](http://x)",
    ]) {
      for (const tool of ["hermes", "phi4", "pythonic", "qwen3_coder", "glm47"]) {
        expect(content(tool, text)).toBe(text);
      }
    }
  });

  test("an answer in JSON is no call of llama3_json", () => {
    for (const text of [
      '{"name": "Oslo", "parameters": {"size": 1}}',
      '{"a": [1, 2]}',
      '{"name": "x',
    ]) {
      expect(content("llama3_json", text)).toBe(text);
    }
  });

  test("arguments before the name, as a string, or not at all", () => {
    const calls = (output: string) => parseCut({ tool: "hermes", tools }, output, []).tool_calls;
    const call = { name: "get_weather", arguments: '{"city": "Oslo"}' };
    expect(
      calls('<tool_call>{"arguments": {"city": "Oslo"}, "name": "get_weather"}</tool_call>'),
    ).toEqual([call]);
    expect(
      calls(
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}</tool_call>',
      ),
    ).toEqual([call]);
    expect(calls('<tool_call>{"name": "list_files"}</tool_call>')).toEqual([
      { name: "list_files", arguments: "{}" },
    ]);
  });

  test("line breaks that a small model left in a string are escaped", () => {
    const output =
      '<tool_call>{"name": "get_weather", "arguments": {"city": "a\nb\tc"}}</tool_call>';
    const [call] = parseCut({ tool: "hermes", tools }, output, []).tool_calls;
    expect(JSON.parse(call?.arguments ?? "")).toEqual({ city: "a\nb\tc" });
  });

  test("both forms of mistral", () => {
    const forms = [
      '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}[TOOL_CALLS]list_files[CALL_ID]abc[ARGS]{}',
      '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Oslo"}, "id": "x"}, {"name": "list_files", "arguments": {}}]',
    ];
    for (const output of forms) {
      const { tool_calls, content: text } = parseCut({ tool: "mistral", tools }, output, []);
      expect(tool_calls).toEqual([
        { name: "get_weather", arguments: '{"city": "Oslo"}' },
        { name: "list_files", arguments: "{}" },
      ]);
      expect(text).toBeNull();
    }
  });
});

describe("values without types", () => {
  const schema = {
    type: "object",
    $defs: { count: { type: ["integer", "null"] } },
    properties: {
      count: { $ref: "#/$defs/count" },
      either: { anyOf: [{ type: "string" }, { type: "integer" }] },
      list: { type: "array" },
      text: { enum: ["a", "b"] },
      loop: { $ref: "#/properties/loop" },
    },
  };
  const argumentsOf = (values: Readonly<Record<string, string>>) => {
    const parameters = Object.entries(values).map(
      ([key, value]) => `<parameter=${key}>\n${value}\n</parameter>`,
    );
    const output = `<tool_call>\n<function=f>\n${parameters.join("\n")}\n</function>\n</tool_call>`;
    const shape = [{ name: "f", parameters: schema }];
    const [call] = parseCut({ tool: "qwen3_coder", tools: shape }, output, []).tool_calls;
    return JSON.parse(call?.arguments ?? "null") as unknown;
  };

  test("become what the schema says", () => {
    expect(argumentsOf({ count: "7", either: "8", list: "[1, 2]", text: "null" })).toEqual({
      count: 7,
      either: 8,
      list: [1, 2],
      text: "null",
    });
    expect(argumentsOf({ count: "null", either: "x8", list: "['a', True, None]" })).toEqual({
      count: null,
      either: "x8",
      list: ["a", true, null],
    });
  });

  test("stay text where nothing fits or nothing is known", () => {
    expect(argumentsOf({ count: "many", list: "none here", loop: "1", other: "2" })).toEqual({
      count: "many",
      list: "none here",
      loop: "1",
      other: "2",
    });
  });
});

describe("thinking", () => {
  test("as the request says", () => {
    expect(thinking(undefined)).toBeUndefined();
    expect(thinking({ chat_template_kwargs: { enable_thinking: false } })).toBe(false);
    expect(thinking({ chat_template_kwargs: { thinking: true } })).toBe(true);
    expect(thinking({ chat_template_kwargs: { thinking_mode: "chat" } })).toBe(false);
    expect(thinking({ reasoning_effort: "high" })).toBe(true);
    expect(thinking({ reasoning_effort: "none" })).toBe(false);
  });

  test("an output that begins inside the reasoning", () => {
    const parsed = (reasoning: string, opened?: boolean) =>
      parseCut({ reasoning, opened }, "a</think>b", []);
    expect(parsed("qwen3").content).toBe("ab");
    expect(parsed("qwen3", true).reasoning_content).toBe("a");
    expect(parsed("deepseek_r1").reasoning_content).toBe("a");
    expect(parsed("deepseek_v3").content).toBe("a</think>b");
    const off = { request: { chat_template_kwargs: { thinking: false } } };
    expect(parseCut({ reasoning: "deepseek_r1", ...off }, "plain", []).content).toBe("plain");
  });

  test("a prompt that ends in the opener opens it", () => {
    expect(promptOpens("<|im_start|>assistant\n<think>\n", "qwen3")).toBe(true);
    expect(promptOpens("<think>\n\n</think>\n\n", "qwen3")).toBe(false);
    expect(promptOpens("<|open|>think<|sep|>", "kimi_k3")).toBe(true);
    expect(promptOpens("<|channel>thought\n", "gemma4")).toBe(true);
    expect(promptOpens("<think>", "none")).toBe(false);
    expect(promptOpens("<|start|>assistant<|channel|>analysis<|message|>", "gpt_oss")).toBe(true);
    expect(promptOpens("<|start|>assistant", "gpt_oss")).toBe(false);
    expect(promptOpens("<|message_model|><|content_thinking|>", "inkling")).toBe(true);
    expect(promptOpens("<|start|>assistant to=self<|message|>", "muse")).toBe(true);
  });

  test("messages whose reasoning the prompt opened", () => {
    const parsed = parseCut(
      { reasoning: "gpt_oss", opened: true },
      "a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>",
      [],
    );
    expect([parsed.reasoning_content, parsed.content]).toEqual(["a", "b"]);
  });

  test("what comes next is reasoning or not", () => {
    const inside = (reasoning: string, ...pieces: string[]) => {
      const parser = parserFor({ reasoning });
      for (const piece of pieces) parser.push(piece);
      return parser.in_reasoning;
    };
    expect(inside("qwen3")).toBe(false);
    expect(inside("qwen3", "<think>")).toBe(true);
    expect(inside("qwen3", "<think>a", "</think>")).toBe(false);
    expect(inside("deepseek_r1")).toBe(true);
    expect(inside("gpt_oss", "<|channel|>analysis<|message|>")).toBe(true);
    expect(inside("kimi_k3", "<|open|>think<|sep|>")).toBe(true);
  });

  test("text waits only where the prompt says nothing", () => {
    const first = (opened?: boolean) =>
      parserFor({ reasoning: "minimax_m3", opened }).push("Hello, ");
    expect(first()).toEqual([]);
    expect(first(false)).toEqual([{ kind: "content", text: "Hello, " }]);
    expect(first(true)).toEqual([{ kind: "reasoning", text: "Hello, " }]);
  });
});

test("names that do not exist are errors, none is none", () => {
  expect(() => parserFor({ tool: "hermez" })).toThrow(ParserNameError);
  expect(() => parserFor({ reasoning: "toString" })).toThrow(ParserNameError);
  expect(parseCut({ tool: "none", reasoning: "none" }, "<think>a", []).content).toBe("<think>a");
});

test("markers that have to be seen", () => {
  expect(parserMarkers("kimi_k2", "kimi_k2")).toContain("<|tool_call_argument_begin|>");
  expect(parserMarkers("none", "gpt_oss")).toContain("<|channel|>");
  expect(parserMarkers("none", "none")).toEqual([]);
});
