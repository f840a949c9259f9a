/**
 * Which parsers a model wants, from its chat template: a template that shows the model how calls
 * look has the marks of their format in it. Without such marks there is no guess.
 */
import { NO_PARSER } from "./names.ts";

export type FoundParsers = { readonly tool: string; readonly reasoning: string };

/** All of `marks` in the template, none of `without`. */
type Rule = {
  readonly name: string;
  readonly marks: readonly (string | RegExp)[];
  readonly without?: readonly (string | RegExp)[];
};

/** The first rule that fits counts, so rarer marks stand before commoner ones. */
const TOOL_RULES: readonly Rule[] = [
  { name: "harmony", marks: ["<|channel|>", "<|message|>", "<|start|>"] },
  { name: "kimi_k3", marks: ["<|open|>", "<|close|>", "<|sep|>"] },
  { name: "inkling", marks: ["<|content_invoke_tool_json|>"] },
  { name: "muse_glimmer", marks: ["atem:function_calls"] },
  { name: "deepseek_v41", marks: [/｜DSML｜ (?:calls|invoke)/] },
  { name: "deepseek_v4", marks: ["｜DSML｜", "tool_calls"], without: ["function_calls>"] },
  { name: "deepseek_v3_2", marks: ["｜DSML｜", "function_calls"] },
  { name: "deepseek_v3", marks: ["<｜tool▁calls▁begin｜>", "```json"] },
  { name: "deepseek_v3_1", marks: ["<｜tool▁calls▁begin｜>", "<｜tool▁sep｜>"] },
  { name: "kimi_k2", marks: ["<|tool_call_begin|>", "<|tool_call_argument_begin|>"] },
  { name: "minimax_m3", marks: ["]<]minimax[>["] },
  { name: "minimax_m2", marks: ["<minimax:tool_call>"] },
  { name: "gemma4", marks: ["<|tool_call>", "<tool_call|>"] },
  { name: "glm45", marks: ["<arg_key>", "<arg_value>", /<\/arg_key>(?:\\n|\n)/] },
  { name: "glm47", marks: ["<arg_key>", "<arg_value>"] },
  { name: "qwen3_coder", marks: ["<tool_call>", "<function=", "<parameter="] },
  { name: "mistral", marks: ["[TOOL_CALLS]"] },
  { name: "nemotron_deci", marks: ["<TOOLCALL>"] },
  { name: "jamba", marks: ["<tool_calls>", "</tool_calls>"] },
  { name: "phi4", marks: ["functools["] },
  { name: "pythonic", marks: [/\[func_name1\(params_name1=/] },
  { name: "llama3_json", marks: [/"name": function name, "parameters":/] },
  { name: "hermes", marks: ["<tool_call>", "</tool_call>", /"name\\?"/, /"arguments\\?"/] },
];

const OPENED_THINK = /<think>(?:\\n|\n)?['"]\s*[-}]/;

const REASONING_RULES: readonly Rule[] = [
  { name: "gpt_oss", marks: ["<|channel|>", "<|message|>", "<|start|>"] },
  { name: "kimi_k3", marks: ["<|open|>", "<|close|>", "<|sep|>"] },
  { name: "inkling", marks: ["<|content_thinking|>"] },
  { name: "muse_glimmer", marks: ["atem:function_calls"] },
  { name: "minimax_m3", marks: ["<mm:think>"] },
  { name: "gemma4", marks: ["<|channel>", "<channel|>"] },
  { name: "mistral", marks: ["[THINK]", "[/THINK]"] },
  { name: "kimi", marks: ["◁think▷"] },
  { name: "granite", marks: [/Here(?:'s| is|\\'s) (?:my|your) thought process:/] },
  { name: "deepseek_v4", marks: ["</think>", "｜DSML｜"], without: ["function_calls>"] },
  { name: "deepseek_v3_2", marks: ["</think>", "｜DSML｜"] },
  { name: "deepseek_v3_1", marks: ["</think>", "<｜Assistant｜>", /\bthinking\b/] },
  { name: "deepseek_r1", marks: ["<｜Assistant｜>", OPENED_THINK] },
  { name: "minimax_m2", marks: ["</think>", "<minimax:tool_call>"] },
  { name: "kimi_k25", marks: ["</think>", "<|tool_call_begin|>", OPENED_THINK] },
  { name: "kimi_k2", marks: ["</think>", "<|tool_call_begin|>"] },
  { name: "glm45", marks: ["</think>", "<arg_key>"] },
  { name: "qwen3", marks: ["</think>", "<tool_call>"] },
  { name: "basic", marks: ["</think>"] },
];

/**
 * Names for `parserFor`, or "none".
 * @param template the chat template's source, as the model comes with it
 * @param isToken whether the vocabulary has a token of this spelling: a format made of tokens that
 * the model does not have is not its format. Without it nothing is known of them.
 */
export function findParsers(
  template: string,
  isToken: (spelling: string) => boolean = () => true,
): FoundParsers {
  return {
    tool: firstFit(TOOL_RULES, template, isToken),
    reasoning: firstFit(REASONING_RULES, template, isToken),
  };
}

/** Spelled like a control token, so that a model without the token does not write it. */
const CONTROL = /^(?:<[|｜].*[|｜]>|<\|\w+>|<\w+\|>)$/;

function firstFit(
  rules: readonly Rule[],
  template: string,
  isToken: (spelling: string) => boolean,
): string {
  const fits = (mark: string | RegExp): boolean =>
    typeof mark === "string" ? template.includes(mark) : mark.test(template);
  const spelled = (mark: string | RegExp): boolean =>
    typeof mark !== "string" || !CONTROL.test(mark) || isToken(mark);
  const rule = rules.find(
    ({ marks, without }) => marks.every(fits) && marks.every(spelled) && !without?.some(fits),
  );
  return rule?.name ?? NO_PARSER;
}
