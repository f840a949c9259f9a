/**
 * Prompts that end inside the assistant's last turn, so that the answer goes on with its text. No
 * template has a way to leave a turn open. So a mark is put behind the text before the template
 * runs, and the prompt ends where the mark came out.
 */
import type { Rendered } from "../../../llm/template/guarded-render.ts";
import { ApiError } from "../api/api-error.ts";
import type { TemplateMessage } from "../models/served-model.ts";

/** Of characters for private use, so that templates change nothing of it. */
const MARK = "\ue00f\ue01d\ue00a\ue01b";

/** @param messages the last one is the assistant's */
export function withMark(messages: readonly TemplateMessage[]): readonly TemplateMessage[] {
  const last = messages.at(-1);
  if (last === undefined) return messages;
  return [...messages.slice(0, -1), { ...last, content: `${String(last.content)}${MARK}` }];
}

/** Throws ApiError (400) where the template leaves out the last turn's text. */
export function upToMark(rendered: Rendered, model: string, param: string): Rendered {
  const end = rendered.text.lastIndexOf(MARK);
  if (end >= 0) return { ...rendered, text: rendered.text.slice(0, end) };
  throw new ApiError(
    400,
    "not_supported",
    `The chat template of '${model}' does not show the assistant's last message, so no answer can go ` +
      "on with it. End with a message of the user.",
    param,
  );
}
