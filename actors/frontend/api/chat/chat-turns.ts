/** A message of a chat → a turn of the chat template. */
import type { TemplateMessage } from "../../models/served-model.ts";
import { checkText } from "../../prompt/prompt-text.ts";
import { ApiError } from "../api-error.ts";
import type { ChatMessage } from "./chat-fields.ts";

/** One message as the chat template sees it. Throws ApiError (400). */
export function templateMessage(message: ChatMessage, i: number): TemplateMessage {
  const role = message.role === "developer" ? "system" : message.role;
  const param = `messages[${i}].content`;
  const turn = { role, content: checkText(contentText(message, param), param) };
  const { name, reasoning_content } = message;
  if (name != null) checkText(name, `messages[${i}].name`);
  if (reasoning_content != null) {
    checkText(reasoning_content, `messages[${i}].reasoning_content`);
  }
  if (name == null && reasoning_content == null) return turn;
  return {
    ...turn,
    ...(name == null ? {} : { name }),
    ...(reasoning_content == null ? {} : { reasoning_content }),
  };
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
