/**
 * The one table of parser names: what each name reads. Names, aliases and what they do without
 * tools are Dynamo 1.6.1's; docs/parsers.md has the formats.
 */
import {
  FORCED_THINK_TAGS,
  FORCED_THINK_UNTIL_CALL,
  GEMMA4_TAGS,
  GRANITE_TAGS,
  KIMI_TAGS,
  MINIMAX_M3_TAGS,
  MISTRAL_TAGS,
  THINK_TAGS,
  THINK_UNTIL_CALL,
} from "./reasoning/think-tags.ts";
import type { ToolFormat } from "./scan/reader.ts";
import type { ThinkTags } from "./scan/tagged-machine.ts";
import { GEMMA4_CALLS } from "./tool/gemma4-calls.ts";
import { GLM_CALLS } from "./tool/glm-calls.ts";
import {
  DEEPSEEK_V3_2_CALLS,
  DEEPSEEK_V4_CALLS,
  DEEPSEEK_V41_CALLS,
  MINIMAX_M2_CALLS,
  QWEN3_CALLS,
  QWEN3_CODER_CALLS,
} from "./tool/invoke-calls.ts";
import { jsonCalls } from "./tool/json-calls.ts";
import { DEEPSEEK_V3_1_CALLS, DEEPSEEK_V3_CALLS, KIMI_K2_CALLS } from "./tool/marked-calls.ts";
import { MINIMAX_M3_CALLS } from "./tool/minimax-m3-calls.ts";
import { PYTHONIC_CALLS } from "./tool/pythonic-calls.ts";

/** A format of the whole output: it has the content, the reasoning and the calls in it. */
export type Frame = "harmony" | "inkling" | "kimi_k3" | "muse";

export type ToolEntry = {
  /** Calls in free text, or a format of the whole output. */
  readonly format: ToolFormat | Frame;
  /** With no tools in the request: the text as it is, or without the calls. */
  readonly without_tools: "text" | "drop";
  /** A call in the reasoning is one, and the reasoning goes on, whatever the reasoning parser. */
  readonly within_reasoning?: boolean;
  /** A call cut at the end makes the finish reason "length", also where the engine said "stop". */
  readonly cut_is_length?: boolean;
};

export type ReasoningEntry = {
  readonly format: ThinkTags | Frame | "append";
  /** Nothing is reasoning unless the request turns thinking on. */
  readonly when_asked?: boolean;
};

const text = (format: ToolFormat | Frame): ToolEntry => ({ format, without_tools: "text" });
const drop = (format: ToolFormat | Frame): ToolEntry => ({ format, without_tools: "drop" });
/** Names of Dynamo's second generation: calls count wherever they stand. */
const anywhere = (format: ToolFormat): ToolEntry => ({ ...drop(format), within_reasoning: true });

const TOOL_CALL = { open: "<tool_call>", close: "</tool_call>" };
const TOOLCALL = { open: "<TOOLCALL>", close: "</TOOLCALL>" };
const PYTHON_TAG = { open: "<|python_tag|>", close: "" };

const HERMES = text(jsonCalls([TOOL_CALL]));
const DEEPSEEK_V4 = text(DEEPSEEK_V4_CALLS);
const GEMMA4 = text(GEMMA4_CALLS);
const KIMI_K3 = drop("kimi_k3");
const MINIMAX_M3 = text(MINIMAX_M3_CALLS);
const MUSE = drop("muse");
const QWEN3_CODER = text(QWEN3_CODER_CALLS);

export const TOOL_PARSERS: Readonly<Record<string, ToolEntry>> = {
  "deepseek-v4": DEEPSEEK_V4,
  deepseek_v3: text(DEEPSEEK_V3_CALLS),
  deepseek_v3_1: text(DEEPSEEK_V3_1_CALLS),
  deepseek_v3_2: text(DEEPSEEK_V3_2_CALLS),
  deepseek_v4: DEEPSEEK_V4,
  deepseek_v41: anywhere(DEEPSEEK_V41_CALLS),
  deepseekv4: DEEPSEEK_V4,
  default: text(jsonCalls([TOOLCALL, PYTHON_TAG])),
  "gemma-4": GEMMA4,
  gemma4: GEMMA4,
  glm45: anywhere(GLM_CALLS),
  glm47: { ...text(GLM_CALLS), cut_is_length: true },
  harmony: drop("harmony"),
  hermes: HERMES,
  inkling: text("inkling"),
  jamba: text(jsonCalls([{ open: "<tool_calls>", close: "</tool_calls>" }])),
  "kimi-k3": KIMI_K3,
  kimi_k2: text(KIMI_K2_CALLS),
  kimi_k25: anywhere(KIMI_K2_CALLS),
  kimi_k3: KIMI_K3,
  llama3_json: text(jsonCalls([PYTHON_TAG, { open: "{", close: "", bare: true }], { first: "{" })),
  "minimax-m3": MINIMAX_M3,
  "minimax-m3-nom": MINIMAX_M3,
  minimax_m2: text(MINIMAX_M2_CALLS),
  minimax_m3: MINIMAX_M3,
  minimax_m3_nom: MINIMAX_M3,
  mistral: text(
    jsonCalls([
      { open: "[TOOL_CALLS]", close: "[/TOOL_CALLS]", close_optional: true, named: true },
    ]),
  ),
  muse: MUSE,
  muse_glimmer: MUSE,
  nemotron_deci: text(jsonCalls([TOOLCALL])),
  nemotron_nano: QWEN3_CODER,
  phi4: text(jsonCalls([{ open: "functools[", close: "", in_list: true }])),
  pythonic: text(PYTHONIC_CALLS),
  qwen25: HERMES,
  qwen3: anywhere(QWEN3_CALLS),
  qwen3_coder: QWEN3_CODER,
};

const THINK: ReasoningEntry = { format: THINK_TAGS };
const FORCED: ReasoningEntry = { format: FORCED_THINK_TAGS };
const FORCED_UNTIL_CALL: ReasoningEntry = { format: FORCED_THINK_UNTIL_CALL };
const THINK_V4: ReasoningEntry = { format: THINK_UNTIL_CALL };
const GEMMA4_CHANNEL: ReasoningEntry = { format: GEMMA4_TAGS, when_asked: true };
const MM_THINK: ReasoningEntry = { format: MINIMAX_M3_TAGS };

export const REASONING_PARSERS: Readonly<Record<string, ReasoningEntry>> = {
  basic: THINK,
  "deepseek-v4": THINK_V4,
  deepseek_r1: FORCED,
  deepseek_v3: { ...FORCED, when_asked: true },
  deepseek_v3_1: { ...FORCED, when_asked: true },
  deepseek_v3_2: FORCED,
  deepseek_v4: THINK_V4,
  deepseek_v41: THINK_V4,
  deepseekv4: THINK_V4,
  "gemma-4": GEMMA4_CHANNEL,
  gemma4: GEMMA4_CHANNEL,
  glm45: THINK,
  glm47: THINK,
  gpt_oss: { format: "harmony" },
  granite: { format: GRANITE_TAGS },
  inkling: { format: "inkling" },
  kimi: { format: KIMI_TAGS },
  "kimi-k3": { format: "kimi_k3" },
  kimi_k2: THINK,
  kimi_k25: FORCED_UNTIL_CALL,
  kimi_k3: { format: "kimi_k3" },
  "minimax-m3": MM_THINK,
  minimax_append_think: { format: "append" },
  minimax_m2: FORCED_UNTIL_CALL,
  minimax_m3: MM_THINK,
  mistral: { format: MISTRAL_TAGS, when_asked: true },
  muse: { format: "muse" },
  muse_glimmer: { format: "muse" },
  nemotron3: FORCED_UNTIL_CALL,
  nemotron_deci: THINK,
  nemotron_nano: FORCED_UNTIL_CALL,
  nemotron_v3: FORCED_UNTIL_CALL,
  qwen3: THINK,
  qwen3_coder: THINK,
  step3: FORCED,
};

/** Beside the table's names: no parser at all. */
export const NO_PARSER = "none";

/** A name that is in no table. */
export class ParserNameError extends Error {
  readonly code = "unknown_parser";
  readonly kind: "tool" | "reasoning";
  readonly parser: string;

  constructor(kind: "tool" | "reasoning", parser: string) {
    super(`there is no ${kind} parser "${parser}"`);
    this.kind = kind;
    this.parser = parser;
  }
}

/** Throws ParserNameError. */
export function toolEntry(name: string | undefined): ToolEntry | undefined {
  if (name === undefined || name === NO_PARSER) return undefined;
  if (!Object.hasOwn(TOOL_PARSERS, name)) throw new ParserNameError("tool", name);
  return TOOL_PARSERS[name];
}

/** Throws ParserNameError. */
export function reasoningEntry(name: string | undefined): ReasoningEntry | undefined {
  if (name === undefined || name === NO_PARSER) return undefined;
  if (!Object.hasOwn(REASONING_PARSERS, name)) throw new ParserNameError("reasoning", name);
  return REASONING_PARSERS[name];
}
