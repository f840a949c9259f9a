/** The messages of a chat in the form that all dialects agree on. */
import { checkText } from "../../prompt/prompt-text.ts";
import type { CallId, Conversation, Turn, TurnCall } from "../../prompt/turns.ts";
import { ApiError, invalidValue, missingParameter } from "../api-error.ts";
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
  const turn = { role, content: checkText(contentText(message, param), param), param };
  const { name } = message;
  const reasoning = message.reasoning_content ?? message.reasoning;
  if (name != null) checkText(name, `${where}.name`);
  if (reasoning != null) checkText(reasoning, `${where}.reasoning_content`);
  return {
    ...turn,
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
  }));
}

function idOf({ role, tool_call_id }: ChatMessage, where: string): CallId | undefined {
  if (role !== "tool") return undefined;
  const param = `${where}.tool_call_id`;
  if (tool_call_id == null) throw missingParameter(param);
  return { id: tool_call_id, param };
}

function contentText(message: ChatMessage, param: string): string {
  const { content } = message;
  if (typeof content === "string") return content;
  if (content == null) {
    if (message.role === "assistant") return "";
    throw new ApiError(
      400,
      "missing_required_parameter",
      `Missing required parameter: '${param}'. Only a message of the assistant may be without.`,
      param,
    );
  }
  return content.map((part) => (part.type === "text" ? part.text : part.refusal)).join("\n");
}
