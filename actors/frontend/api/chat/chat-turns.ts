/** The messages of a chat → the turns of the chat template. */
import type { TemplateMessage } from "../../models/served-model.ts";
import { checkText } from "../../prompt/prompt-text.ts";
import { ApiError, clip, invalidValue, missingParameter } from "../api-error.ts";
import type { ChatMessage, ToolCall } from "./chat-fields.ts";

/** All messages as the chat template sees them. Throws ApiError (400). */
export function templateMessages(messages: readonly ChatMessage[]): readonly TemplateMessage[] {
  const calls = new CallLedger();
  return messages.map((message, i) => {
    const turn = templateMessage(message, `messages[${i}]`);
    calls.take(message, `messages[${i}]`);
    return turn;
  });
}

function templateMessage(message: ChatMessage, where: string): TemplateMessage {
  const role = message.role === "developer" ? "system" : message.role;
  const param = `${where}.content`;
  const turn = { role, content: checkText(contentText(message, param), param) };
  const { name, tool_call_id, tool_calls } = message;
  const reasoning_content = message.reasoning_content ?? message.reasoning;
  if (name != null) checkText(name, `${where}.name`);
  if (reasoning_content != null) checkText(reasoning_content, `${where}.reasoning_content`);
  const isPlain = name == null && reasoning_content == null;
  if (isPlain && tool_calls == null && tool_call_id == null) return turn;
  return {
    ...turn,
    ...(name == null ? {} : { name }),
    ...(reasoning_content == null ? {} : { reasoning_content }),
    ...(tool_calls == null || tool_calls.length === 0
      ? {}
      : { tool_calls: tool_calls.map(shownCall) }),
    ...(tool_call_id == null ? {} : { tool_call_id }),
  };
}

const shownCall = ({ id, function: { name, arguments: given } }: ToolCall) => ({
  ...{ id, type: "function" },
  function: { name, arguments: given },
});

/** Which calls wait for their results, from message to message. */
class CallLedger {
  readonly #open = new Set<string>();

  /** Throws ApiError (400). */
  take({ role, tool_calls, tool_call_id }: ChatMessage, where: string): void {
    const calls = tool_calls ?? [];
    if (calls.length > 0 && role !== "assistant") {
      throw invalidValue(
        `'${where}.tool_calls' is in a message of the role '${role}'; only the assistant calls.`,
        `${where}.tool_calls`,
      );
    }
    calls.forEach(({ id }, i) => {
      this.#call(id, `${where}.tool_calls[${i}].id`);
    });
    if (role === "tool") this.#result(tool_call_id, `${where}.tool_call_id`);
  }

  #call(id: string, param: string): void {
    if (this.#open.has(id)) {
      throw invalidValue(
        `'${param}' is '${clip(id)}', the id of another call that has no result yet.`,
        param,
      );
    }
    this.#open.add(id);
  }

  #result(id: string | null | undefined, param: string): void {
    if (id == null) throw missingParameter(param);
    if (this.#open.delete(id)) return;
    throw invalidValue(
      `'${param}' is '${clip(id)}', but no earlier message has a call of this id that is still ` +
        "without a result. Send the assistant's message with its 'tool_calls' before.",
      param,
    );
  }
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
