/** Tools in Anthropic's form → the functions of an answer. */
import { AUTO, type Tool, type ToolChoice, type ToolRequest } from "../../prompt/tools.ts";
import { clip, invalidValue, missingParameter } from "../api-error.ts";
import { notSupported } from "./message-errors.ts";
import type { CountBody, MessageTool, MessageToolChoice } from "./messages-fields.ts";

/** Throws ApiError (400). */
export function toolRequest({ tools, tool_choice: choice }: CountBody): ToolRequest {
  return {
    tools: (tools ?? []).map((tool, i) => toolOf(tool, `tools[${i}]`)),
    choice: choice == null ? AUTO : choiceOf(choice),
    one_call: choice != null && choice.type !== "none" && choice.disable_parallel_tool_use === true,
  };
}

const TOOL_NAME = /^[a-zA-Z0-9_-]{1,128}$/;

function toolOf(
  { type, name, description, input_schema, strict }: MessageTool,
  param: string,
): Tool {
  if (type != null && type !== "custom") {
    throw notSupported(
      `'${param}.type' is '${clip(type)}', a tool that Anthropic runs or describes to its models. ` +
        "Here tools are described by their 'input_schema' and run by the client: leave 'type' out.",
      `${param}.type`,
    );
  }
  if (name == null) throw missingParameter(`${param}.name`);
  if (!TOOL_NAME.test(name)) {
    throw invalidValue(
      `'${param}.name' is '${clip(name)}'; a tool's name has 1 to 128 letters (a–z), digits, _ and -.`,
      `${param}.name`,
    );
  }
  if (input_schema == null) throw missingParameter(`${param}.input_schema`);
  const schema_param = `${param}.input_schema`;
  return { name, description, parameters: input_schema, strict, param, schema_param };
}

function choiceOf(choice: MessageToolChoice): ToolChoice {
  switch (choice.type) {
    case "auto":
    case "none":
      return { kind: choice.type };
    case "any":
      return { kind: "required" };
    case "tool":
      return { kind: "named", tool: { name: choice.name, param: "tool_choice.name" } };
  }
}
