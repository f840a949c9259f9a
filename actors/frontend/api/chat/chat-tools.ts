/** The tools of a chat: what the template shows of them, and what the parser of answers knows. */
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import { NO_PARSER } from "../../../../llm/parsers/names.ts";
import { promptOpens, thinking } from "../../../../llm/parsers/parser-for.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { type AnswerParsing, readsWithoutTools } from "../answer-parsing.ts";
import { ApiError, clip, invalidValue } from "../api-error.ts";
import type { ChatBody, FunctionTool, ToolChoice } from "./chat-fields.ts";

/** The functions that the model may call in this answer. Throws ApiError (400). */
export function callableTools(body: ChatBody, model: ServedModel): readonly FunctionTool[] {
  const tools = body.tools ?? [];
  checkTools(tools);
  const choice = body.tool_choice ?? "auto";
  const callable = chosenTools(tools, choice);
  if (callable.length > 0 && model.parsers.tool === NO_PARSER) {
    throw notSupported(
      `'${model.name}' has no parser of tool calls, so its calls would be text. Its operator can ` +
        "name one by --tool-call-parser. Remove 'tools', or send 'tool_choice': \"none\".",
      "tools",
    );
  }
  return callable;
}

function checkTools(tools: readonly FunctionTool[]): void {
  const names = new Set<string>();
  let chars = 0;
  tools.forEach(({ function: { name, description, parameters, strict } }, i) => {
    const param = `tools[${i}].function`;
    if (names.has(name)) {
      throw invalidValue(
        `'${param}.name' is '${name}', as another tool's. Names are unique.`,
        `${param}.name`,
      );
    }
    names.add(name);
    if (strict === true) {
      throw notSupported(
        `'${param}.strict' is not supported: no grammar holds arguments to their schema yet. Send false.`,
        `${param}.strict`,
      );
    }
    const left = requestLimits.tools_chars - chars;
    chars += name.length + (description?.length ?? 0) + charsOf(parameters ?? null, left);
    if (chars <= requestLimits.tools_chars) return;
    throw invalidValue(
      `'tools' has more than ${requestLimits.tools_chars} characters in names, descriptions and ` +
        `schemas, with '${param}'. Send fewer tools, or shorter ones.`,
      param,
    );
  });
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

function chosenTools(tools: readonly FunctionTool[], choice: ToolChoice): readonly FunctionTool[] {
  if (choice === "none") return [];
  if (choice === "auto") return tools;
  if (tools.length === 0) {
    throw invalidValue("'tool_choice' needs 'tools' to choose from.", "tool_choice");
  }
  if (choice === "required") throw notEnforced('"required"');
  if (choice.type === "function") {
    checkNamed(tools, choice.function.name, "tool_choice.function.name");
    throw notEnforced("a function by name");
  }
  const { mode, tools: allowed } = choice.allowed_tools;
  const names = allowed.map(({ function: { name } }, i) => {
    checkNamed(tools, name, `tool_choice.allowed_tools.tools[${i}].function.name`);
    return name;
  });
  if (mode === "required") throw notEnforced('"required"');
  return tools.filter((tool) => names.includes(tool.function.name));
}

function checkNamed(tools: readonly FunctionTool[], name: string, param: string): void {
  if (tools.some((tool) => tool.function.name === name)) return;
  throw invalidValue(`'${param}' is '${clip(name)}', which is no tool of the request.`, param);
}

const notSupported = (message: string, param: string) =>
  new ApiError(400, "not_supported", message, param);

const notEnforced = (what: string) =>
  notSupported(
    `'tool_choice' is ${what}, which is not supported: no grammar makes the model call a tool yet. ` +
      'Send "auto".',
    "tool_choice",
  );

/** In OpenAI's form and order, whatever else a client puts there; undefined: there are none. */
export function shownTools(tools: readonly FunctionTool[]): readonly object[] | undefined {
  if (tools.length === 0) return undefined;
  return tools.map(({ type, function: { name, description, parameters } }) => ({
    type,
    function: {
      name,
      ...(description == null ? {} : { description }),
      parameters: parameters ?? { type: "object", properties: {} },
    },
  }));
}

/**
 * How the answers are read; undefined: as plain text.
 * @param prompt as it was rendered: it may end inside the reasoning
 */
export function parsingOf(
  body: ChatBody,
  { parsers }: ServedModel,
  tools: readonly FunctionTool[],
  prompt: string,
): AnswerParsing | undefined {
  const { reasoning, reasoning_field } = parsers;
  const reads = tools.length > 0 || readsWithoutTools(parsers.tool);
  const tool = reads ? parsers.tool : NO_PARSER;
  if (tool === NO_PARSER && reasoning === NO_PARSER) return undefined;
  return {
    ...{ tool, reasoning, reasoning_field },
    tools: tools.map((each) => ({
      name: each.function.name,
      parameters: each.function.parameters ?? undefined,
    })),
    thinking: thinking(body),
    opened: promptOpens(prompt.slice(-PROMPT_END_CHARS), reasoning),
    one_call: body.parallel_tool_calls === false,
  };
}

/** No opener is as long. */
const PROMPT_END_CHARS = 256;
