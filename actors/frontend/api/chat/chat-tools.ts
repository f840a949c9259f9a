/** The tools of a chat in the form that all dialects agree on. */
import { AUTO, type NamedTool, type ToolChoice, type ToolRequest } from "../../prompt/tools.ts";
import type { ToolChoice as AskedChoice, ChatBody } from "./chat-fields.ts";

export const toolRequest = (body: ChatBody): ToolRequest => ({
  tools: (body.tools ?? []).map((tool, i) => ({
    ...tool.function,
    param: `tools[${i}].function`,
  })),
  choice: body.tool_choice == null ? AUTO : toolChoice(body.tool_choice),
  one_call: body.parallel_tool_calls === false,
});

function toolChoice(choice: AskedChoice): ToolChoice {
  if (typeof choice === "string") return { kind: choice };
  if (choice.type === "function") {
    const { name } = choice.function;
    return { kind: "named", tool: { name, param: "tool_choice.function.name" } };
  }
  const { mode, tools } = choice.allowed_tools;
  const allowed = tools.map(
    ({ function: { name } }, i): NamedTool => ({
      name,
      param: `tool_choice.allowed_tools.tools[${i}].function.name`,
    }),
  );
  return { kind: "allowed", mode, tools: allowed };
}
