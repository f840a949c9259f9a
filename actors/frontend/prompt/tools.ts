/**
 * The functions of a request, in the form that all dialects agree on: what the template shows of
 * them, and what the parser of answers knows. A dialect says where each stands in its own body.
 */
import { requestLimits } from "../../../llm/model/request-limits.ts";
import { NO_PARSER } from "../../../llm/parsers/names.ts";
import { promptOpens, type ThinkingRequest, thinking } from "../../../llm/parsers/parser-for.ts";
import { type AnswerParsing, readsWithoutTools } from "../api/answer-parsing.ts";
import { ApiError, clip, invalidValue } from "../api/api-error.ts";
import type { ServedModel } from "../models/served-model.ts";

export type Tool = {
  readonly name: string;
  readonly description?: string | null | undefined;
  /** A JSON schema; absent: no arguments. */
  readonly parameters?: Readonly<Record<string, unknown>> | null | undefined;
  readonly strict?: boolean | null | undefined;
  /** Path of the object with its name in the request: `tools[0].function`. */
  readonly param: string;
  /** Path of its schema, where that is not `parameters` beside the name. */
  readonly schema_param?: string | undefined;
};

/** A function that a choice names, and the path of that name. */
export type NamedTool = { readonly name: string; readonly param: string };

export type ToolChoice =
  | { readonly kind: "none" }
  | { readonly kind: "auto" }
  | { readonly kind: "required" }
  | { readonly kind: "named"; readonly tool: NamedTool }
  | {
      readonly kind: "allowed";
      readonly mode: "auto" | "required";
      readonly tools: readonly NamedTool[];
    };

export type ToolRequest = {
  readonly tools: readonly Tool[];
  readonly choice: ToolChoice;
  /** Of several calls the first one is answered. */
  readonly one_call: boolean;
};

export const AUTO: ToolChoice = { kind: "auto" };

/** The functions that the model may call in this answer. Throws ApiError (400). */
export function callableTools(
  { tools, choice }: ToolRequest,
  { name, parsers }: ServedModel,
): readonly Tool[] {
  checkTools(tools);
  const callable = chosenTools(tools, choice);
  if (callable.length > 0 && parsers.tool === NO_PARSER) {
    throw notSupported(
      `'${name}' has no parser of tool calls, so its calls would be text. Its operator can ` +
        "name one by --tool-call-parser. Remove 'tools', or send 'tool_choice': \"none\".",
      "tools",
    );
  }
  return callable;
}

function checkTools(tools: readonly Tool[]): void {
  const names = new Set<string>();
  let chars = 0;
  let values = 0;
  for (const { name, description, parameters, param } of tools) {
    if (names.has(name)) {
      throw invalidValue(
        `'${param}.name' is '${name}', as another tool's. Names are unique.`,
        `${param}.name`,
      );
    }
    names.add(name);
    const left = requestLimits.tools_chars - chars;
    chars += name.length + (description?.length ?? 0) + charsOf(parameters ?? null, left);
    if (chars > requestLimits.tools_chars) {
      throw tooMuch(`${requestLimits.tools_chars} characters in names, descriptions and`, param);
    }
    values += valuesOf(parameters ?? null);
    if (values > requestLimits.json_values) {
      throw tooMuch(`${requestLimits.json_values} values in`, param);
    }
  }
}

const tooMuch = (what: string, param: string) =>
  invalidValue(
    `'tools' has more than ${what} schemas, with '${param}'. Send fewer tools, or shorter ones.`,
    param,
  );

function valuesOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  let values = 1;
  for (const inner of Object.values(value)) values += valuesOf(inner);
  return values;
}

/** Characters of names and values, about; no more is counted than `limit` and what comes then. */
function charsOf(value: unknown, limit: number): number {
  if (typeof value === "string") return value.length + 1;
  if (typeof value !== "object" || value === null) return 1;
  let chars = 1;
  for (const key in value) {
    if (chars > limit) return chars;
    // Indices of a list are no names.
    const name = Array.isArray(value) ? 0 : key.length;
    chars += name + charsOf((value as Record<string, unknown>)[key], limit - chars);
  }
  return chars;
}

function chosenTools(tools: readonly Tool[], choice: ToolChoice): readonly Tool[] {
  if (choice.kind === "none") return [];
  if (choice.kind === "auto") return tools;
  if (tools.length === 0) {
    throw invalidValue("'tool_choice' needs 'tools' to choose from.", "tool_choice");
  }
  if (choice.kind === "required") return tools;
  if (choice.kind === "named") {
    checkNamed(tools, choice.tool);
    // The model is shown all, so that the prompt's beginning stays the same.
    return tools;
  }
  for (const named of choice.tools) checkNamed(tools, named);
  const names = choice.tools.map(({ name }) => name);
  return tools.filter(({ name }) => names.includes(name));
}

function checkNamed(tools: readonly Tool[], { name, param }: NamedTool): void {
  if (tools.some((tool) => tool.name === name)) return;
  throw invalidValue(`'${param}' is '${clip(name)}', which is no tool of the request.`, param);
}

const notSupported = (message: string, param: string) =>
  new ApiError(400, "not_supported", message, param);

/** Functions whose calls are held to a grammar. */
export type HeldTools = {
  readonly tools: readonly Tool[];
  /** The answer is calls and nothing else. */
  readonly required: boolean;
  readonly many: boolean;
  /** The field that asked for it. */
  readonly param: string;
};

/**
 * What has to be held of the calls; undefined: nothing. Beside a form of the text, calls are the
 * other thing that the answer may be.
 */
export function heldTools(
  { choice, one_call }: ToolRequest,
  callable: readonly Tool[],
  has_form: boolean,
): HeldTools | undefined {
  if (callable.length === 0) return undefined;
  const many = !one_call;
  const param = "tool_choice";
  if (choice.kind === "named") {
    const tools = callable.filter(({ name }) => name === choice.tool.name);
    return { tools, required: true, many: false, param };
  }
  const required =
    choice.kind === "required" || (choice.kind === "allowed" && choice.mode === "required");
  if (required) return { tools: callable, required, many, param };
  const strict = callable.find((tool) => tool.strict === true);
  if (strict !== undefined) {
    return { tools: callable, required, many, param: `${strict.param}.strict` };
  }
  return has_form ? { tools: callable, required, many, param: "tools" } : undefined;
}

/** As templates know them, whatever else a client puts there; undefined: there are none. */
export function shownTools(tools: readonly Tool[]): readonly object[] | undefined {
  if (tools.length === 0) return undefined;
  return tools.map(({ name, description, parameters }) => ({
    type: "function",
    function: {
      name,
      ...(description == null ? {} : { description }),
      parameters: parameters ?? { type: "object", properties: {} },
    },
  }));
}

export type ParsingRequest = {
  /** What may be called in this answer. */
  readonly tools: readonly Tool[];
  readonly one_call: boolean;
  /** One function was chosen by its name. */
  readonly named: boolean;
  readonly thinking: ThinkingRequest;
  /** As it was rendered: it may end inside the reasoning. */
  readonly prompt: string;
};

/** How the answers are read; undefined: as plain text. */
export function parsingOf(
  { parsers }: ServedModel,
  { tools, one_call, named, thinking: asked, prompt }: ParsingRequest,
): AnswerParsing | undefined {
  const { reasoning, reasoning_field } = parsers;
  const reads = tools.length > 0 || readsWithoutTools(parsers.tool);
  const tool = reads ? parsers.tool : NO_PARSER;
  if (tool === NO_PARSER && reasoning === NO_PARSER) return undefined;
  return {
    ...{ tool, reasoning, reasoning_field, one_call, named },
    tools: tools.map(({ name, parameters }) => ({ name, parameters: parameters ?? undefined })),
    thinking: thinking(asked),
    opened: promptOpens(prompt.slice(-PROMPT_END_CHARS), reasoning),
  };
}

/** No opener is as long. */
const PROMPT_END_CHARS = 256;
