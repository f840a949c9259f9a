/**
 * Items → the turns that all dialects agree on. What the assistant did in a row (it thought, wrote
 * and called) is one turn, as chat templates have it.
 */

import type { Loaded } from "../../kept/earlier.ts";
import { checkText } from "../../prompt/prompt-text.ts";
import type { Conversation, Turn, TurnCall } from "../../prompt/turns.ts";
import { invalidValue, missingParameter } from "../api-error.ts";
import { type ReadItem, readItem } from "./input-items.ts";
import type { ContextBody } from "./response-fields.ts";

/** Throws ApiError (400). */
export function conversationOf(
  body: Pick<ContextBody, "input" | "instructions">,
  earlier: Loaded | undefined,
): Conversation {
  const { instructions } = body;
  const input = earlier?.input ?? body.input;
  const turns = new TurnFold();
  if (instructions != null) {
    turns.message("system", checkText(instructions, "instructions"), "instructions");
  }
  for (const item of earlier?.items ?? []) turns.take(readItem(item, earlier?.param ?? ""));
  if (typeof input === "string") turns.message("user", checkText(input, "input"), "input");
  else (input ?? []).forEach((item, i) => void turns.take(readItem(item, `input[${i}]`)));
  const all = turns.end();
  if (all.some(({ role }) => role !== "system") || (input != null && input.length > 0)) {
    return { turns: all, param: "input", call_place: "the 'function_call' item" };
  }
  if (input == null) throw missingParameter("input");
  throw invalidValue("'input' is empty; send a text or items.", "input");
}

type AssistantTurn = {
  content: Turn["content"];
  written: boolean;
  reasoning: string | undefined;
  calls: TurnCall[];
  param: string;
};

class TurnFold {
  readonly #turns: Turn[] = [];
  #assistant: AssistantTurn | undefined;

  take(item: ReadItem): void {
    const { param } = item;
    switch (item.kind) {
      case "message":
        this.message(item.role, item.content, param);
        return;
      case "reasoning": {
        if (item.text === "") return;
        const turn = this.#assistantTurn(
          param,
          ({ written, calls }) => written || calls.length > 0,
        );
        turn.reasoning = turn.reasoning === undefined ? item.text : turn.reasoning + item.text;
        return;
      }
      case "call": {
        const { call_id: id, name, arguments: given } = item;
        const turn = this.#assistantTurn(param, () => false);
        const params = { param: `${param}.call_id`, arguments_param: `${param}.arguments` };
        turn.calls.push({ ...{ id, name, arguments: given }, ...params });
        return;
      }
      case "result": {
        this.#flush();
        const answers = { id: item.call_id, param: `${param}.call_id` };
        this.#turns.push({
          role: "tool",
          content: item.content,
          answers,
          param: `${param}.output`,
        });
      }
    }
  }

  message(role: "user" | "assistant" | "system", content: Turn["content"], param: string): void {
    if (role === "assistant") {
      const turn = this.#assistantTurn(param, ({ written, calls }) => written || calls.length > 0);
      turn.content = content;
      turn.written = true;
      return;
    }
    this.#flush();
    const last = this.#turns.at(-1);
    // Templates take one system message, at the begin.
    const isText = typeof content === "string" && typeof last?.content === "string";
    if (role === "system" && last?.role === "system" && isText) {
      this.#turns[this.#turns.length - 1] = { ...last, content: `${last.content}\n\n${content}` };
      return;
    }
    this.#turns.push({ role, content, param });
  }

  end(): readonly Turn[] {
    this.#flush();
    return this.#turns;
  }

  /** The turn that is open, or a new one where `isOver` says that this one has all it can have. */
  #assistantTurn(param: string, isOver: (turn: AssistantTurn) => boolean): AssistantTurn {
    if (this.#assistant !== undefined && isOver(this.#assistant)) this.#flush();
    this.#assistant ??= { content: "", written: false, reasoning: undefined, calls: [], param };
    return this.#assistant;
  }

  #flush(): void {
    const turn = this.#assistant;
    if (turn === undefined) return;
    this.#assistant = undefined;
    const { content, reasoning, calls, param } = turn;
    this.#turns.push({
      ...{ role: "assistant", content, reasoning, param },
      ...(calls.length === 0 ? {} : { calls }),
    });
  }
}
