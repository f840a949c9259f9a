/** The messages of a chat in the form that all dialects agree on. */
import { checkText } from "../../prompt/prompt-text.ts";
import type { CallId, Conversation, Turn, TurnCall } from "../../prompt/turns.ts";
import { ApiError, invalidValue, missingParameter } from "../api-error.ts";
import { readContent } from "./chat-content.ts";
import type { ChatMessage } from "./chat-fields.ts";

/** Throws ApiError (400). */
export const conversationOf = (messages: readonly ChatMessage[]): Conversation => ({
  turns: messages.map((message, i) => turnOf(message, `messages[${i}]`)),
  param: "messages",
  call_place: "the assistant's message with its 'tool_calls'",
});

function turnOf(message: ChatMessage, where: string): Turn {
  const role = message.role === "developer" ? "system" : message.role;
  const param = `${where}.content`;
  const { name } = message;
  const reasoning = message.reasoning_content ?? message.reasoning;
  if (name != null) checkText(name, `${where}.name`);
  if (reasoning != null) checkText(reasoning, `${where}.reasoning_content`);
  return {
    ...{ role, content: contentIn(message, param), param },
    name,
    reasoning,
    calls: callsOf(message, where),
    answers: idOf(message, where),
  };
}

function callsOf({ role, tool_calls }: ChatMessage, where: string): TurnCall[] | undefined {
  if (tool_calls == null) return undefined;
  if (tool_calls.length > 0 && role !== "assistant") {
    throw invalidValue(
      `'${where}.tool_calls' is in a message of the role '${role}'; only the assistant calls.`,
      `${where}.tool_calls`,
    );
  }
  return tool_calls.map(({ id, function: { name, arguments: given } }, i) => ({
    ...{ id, name, arguments: given },
    param: `${where}.tool_calls[${i}].id`,
    arguments_param: `${where}.tool_calls[${i}].function.arguments`,
  }));
}

function idOf({ role, tool_call_id }: ChatMessage, where: string): CallId | undefined {
  if (role !== "tool") return undefined;
  const param = `${where}.tool_call_id`;
  if (tool_call_id == null) throw missingParameter(param);
  return { id: tool_call_id, param };
}

function contentIn({ role, content }: ChatMessage, param: string): Turn["content"] {
  if (content != null) return readContent(content, param);
  if (role === "assistant") return "";
  throw new ApiError(
    400,
    "missing_required_parameter",
    `Missing required parameter: '${param}'. Only a message of the assistant may be without.`,
    param,
  );
}
