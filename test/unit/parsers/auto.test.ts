import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findParsers } from "../../../llm/parsers/auto.ts";
import { REASONING_PARSERS, TOOL_PARSERS } from "../../../llm/parsers/names.ts";
import { builtInTemplates } from "../../../llm/template/built-in-templates.ts";
import { TEMPLATE_FAMILIES } from "../../support/template/template-families.ts";

const NONE = { tool: "none", reasoning: "none" };

/** What templates say of calls and reasoning, cut down to the lines that say it. */
const TEMPLATES: Readonly<Record<string, { says: string; tool: string; reasoning: string }>> = {
  qwen3: {
    says: String.raw`{{- "return a json object within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>" }}{{- '<think>\n\n</think>\n\n' }}`,
    tool: "hermes",
    reasoning: "qwen3",
  },
  "qwen2.5": {
    says: String.raw`{{- "<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>" }}`,
    tool: "hermes",
    reasoning: "none",
  },
  "qwen3-coder": {
    says: String.raw`{{- '<tool_call>\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n</parameter>\n</function>\n</tool_call>' }}`,
    tool: "qwen3_coder",
    reasoning: "none",
  },
  "deepseek-r1": {
    says: "{{'<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + tool['function']['name'] + '\\n' + '```json' + '\\n'}}{% if '</think>' in content %}{% endif %}{{'<｜Assistant｜><think>\\n'}}",
    tool: "deepseek_v3",
    reasoning: "deepseek_r1",
  },
  "deepseek-v3.1": {
    says: "{%- set thinking = false -%}{{'<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>'+ tool['function']['name'] + '<｜tool▁sep｜>'}}{{'<｜Assistant｜></think>'}}",
    tool: "deepseek_v3_1",
    reasoning: "deepseek_v3_1",
  },
  "deepseek-v3.2": {
    says: '{%- set thinking_end_token = "</think>" -%}{%- set dsml_token = "｜DSML｜" -%}<{{ dsml_token }}function_calls>{{ message.tool_calls }}',
    tool: "deepseek_v3_2",
    reasoning: "deepseek_v3_2",
  },
  "deepseek-v4": {
    says: "</think>{{ '<｜DSML｜tool_calls>' }}<｜DSML｜invoke name=",
    tool: "deepseek_v4",
    reasoning: "deepseek_v4",
  },
  "kimi-k2-thinking": {
    says: "<think></think>{{c}}<|tool_calls_section_begin|><|tool_call_begin|>{{ id }}<|tool_call_argument_begin|>",
    tool: "kimi_k2",
    reasoning: "kimi_k2",
  },
  "kimi-k3": {
    says: "{{- '<|open|>' + tag -}}{{- '<|sep|>' -}}{{- '<|close|>' + tag + '<|sep|>' -}}",
    tool: "kimi_k3",
    reasoning: "kimi_k3",
  },
  "minimax-m2": {
    says: "{%- set toolcall_begin_token = '<minimax:tool_call>' -%}'</think>'{{- ']~b]ai' ~ '\\n' ~ '<think>' ~ '\\n' }}",
    tool: "minimax_m2",
    reasoning: "minimax_m2",
  },
  "minimax-m3": {
    says: "{%- set ns = ']<]minimax[>[' -%}<mm:think>",
    tool: "minimax_m3",
    reasoning: "minimax_m3",
  },
  "glm-4.5": {
    says: "<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key>\n<arg_value>{arg-value-1}</arg_value>\n</tool_call>'</think>'",
    tool: "glm45",
    reasoning: "glm45",
  },
  "glm-4.7": {
    says: "<tool_call>{function-name}<arg_key>{arg-key-1}</arg_key><arg_value>{arg-value-1}</arg_value></tool_call>'</think>'",
    tool: "glm47",
    reasoning: "glm45",
  },
  "gpt-oss": {
    says: '{{- "<|start|>assistant<|channel|>analysis<|message|>" + message.thinking + "<|end|>" }}',
    tool: "harmony",
    reasoning: "gpt_oss",
  },
  "gemma-4": {
    says: "{{- '<|tool_call>call:' + name + '{' -}}{{- '}<tool_call|>' -}}{{- '<|channel>thought\\n<channel|>' -}}",
    tool: "gemma4",
    reasoning: "gemma4",
  },
  "llama-3.1": {
    says: `{{- 'Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.' }}{{- "<|python_tag|>" }}`,
    tool: "llama3_json",
    reasoning: "none",
  },
  "llama-4": {
    says: "[func_name1(params_name1=params_value1, params_name2=params_value2...), func_name2(params)]",
    tool: "pythonic",
    reasoning: "none",
  },
  mistral: { says: `{{- "[TOOL_CALLS] [" }}`, tool: "mistral", reasoning: "none" },
  magistral: {
    says: `{{- "[TOOL_CALLS]" }}{{- '[THINK]' + block + '[/THINK]' }}`,
    tool: "mistral",
    reasoning: "mistral",
  },
  "nemotron-nano-v2": {
    says: `{{- '<TOOLCALL>[{{"name": "tool_name1", "arguments": "tool_args1"}}]</TOOLCALL>' -}}{%- if '</think>' in content -%}`,
    tool: "nemotron_deci",
    reasoning: "basic",
  },
  jamba: { says: "<tool_calls>[{{ call }}]</tool_calls>", tool: "jamba", reasoning: "none" },
  granite: {
    says: "Write the thoughts after 'Here is my thought process:' and the response after",
    tool: "none",
    reasoning: "granite",
  },
  kimi: { says: "'◁think▷' '◁/think▷'", tool: "none", reasoning: "kimi" },
  inkling: {
    says: "<|message_model|>{{ name }}<|content_invoke_tool_json|> <|content_thinking|>",
    tool: "inkling",
    reasoning: "inkling",
  },
  muse: { says: "<atem:function_calls>", tool: "muse_glimmer", reasoning: "muse_glimmer" },
};

const within = (tokens: readonly string[]) => (spelling: string) => tokens.includes(spelling);

describe("a template's marks name the parsers", () => {
  for (const [model, { says, tool, reasoning }] of Object.entries(TEMPLATES)) {
    test(model, () => {
      expect(findParsers(says)).toEqual({ tool, reasoning });
      expect(["none", ...Object.keys(TOOL_PARSERS)]).toContain(tool);
      expect(["none", ...Object.keys(REASONING_PARSERS)]).toContain(reasoning);
    });
  }

  test("the bundled model", () => {
    const file = join(import.meta.dir, "../../../deploy/models/tiny/chat_template.jinja");
    const found = findParsers(readFileSync(file, "utf8"), within(["<|im_start|>"]));
    expect(found).toEqual({ tool: "hermes", reasoning: "qwen3" });
  });
});

describe("without marks there is no guess", () => {
  for (const [family, { template, controls }] of Object.entries(TEMPLATE_FAMILIES)) {
    test(`the plain turns of ${family}`, () => {
      // Its template cuts the reasoning out of former turns; it says nothing of calls.
      const reasoning = family === "deepseek" ? "basic" : "none";
      expect(findParsers(template, within(controls))).toEqual({ tool: "none", reasoning });
    });
  }

  test("the built-in templates, which have plain turns; gpt-oss answers in channels anyway", () => {
    for (const { source } of builtInTemplates) {
      const channels = source.includes("<|channel|>");
      expect(findParsers(source)).toEqual(
        channels ? { tool: "harmony", reasoning: "gpt_oss" } : NONE,
      );
    }
  });

  test("a format of tokens that the model does not have", () => {
    const template = TEMPLATES["kimi-k3"]!.says;
    expect(findParsers(template, within(["<|im_start|>"]))).toEqual(NONE);
    const tokens = ["<|open|>", "<|close|>", "<|sep|>"];
    expect(findParsers(template, within(tokens)).tool).toBe("kimi_k3");
  });

  test("nothing at all", () => expect(findParsers("")).toEqual(NONE));
});
