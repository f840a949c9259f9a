/** The tools of a response in the form that all dialects agree on. */
import { AUTO, type NamedTool, type ToolChoice, type ToolRequest } from "../../prompt/tools.ts";
import { ApiError, clip, missingParameter } from "../api-error.ts";
import type { AskedToolChoice, ContextBody } from "./response-fields.ts";

/** Throws ApiError (400) for tools that are no functions. */
export function toolRequest(
  body: Pick<ContextBody, "tools" | "tool_choice" | "parallel_tool_calls">,
): ToolRequest {
  const tools = (body.tools ?? []).map((tool, i) => {
    const param = `tools[${i}]`;
    checkType(tool.type, `${param}.type`);
    const { name } = tool;
    if (name == null) throw missingParameter(`${param}.name`);
    return { ...tool, name, param };
  });
  return {
    tools,
    choice: body.tool_choice == null ? AUTO : toolChoice(body.tool_choice),
    one_call: body.parallel_tool_calls === false,
  };
}

function toolChoice(choice: AskedToolChoice): ToolChoice {
  if (typeof choice === "string") return { kind: choice };
  if (!("mode" in choice)) return { kind: "named", tool: namedTool(choice, "tool_choice") };
  const tools = choice.tools.map((tool, i) => namedTool(tool, `tool_choice.tools[${i}]`));
  return { kind: "allowed", mode: choice.mode, tools };
}

function namedTool(
  { type, name }: { readonly type: string; readonly name?: string | null | undefined },
  where: string,
): NamedTool {
  checkType(type, `${where}.type`);
  if (name == null) throw missingParameter(`${where}.name`);
  return { name, param: `${where}.name` };
}

function checkType(type: string, param: string): void {
  if (type === "function") return;
  throw new ApiError(
    400,
    "not_supported",
    `'${param}' is '${clip(type)}': this server runs no tools of its own, neither searches nor code ` +
      "nor others' servers. Send tools of type 'function', and run them yourself.",
    param,
  );
}
