/**
 * A conversation in the form that all dialects agree on, and what the chat template gets of it. A
 * dialect says where each part stands in its own body, so that an error names the client's field.
 */
import { clip, invalidValue } from "../api/api-error.ts";
import type { TemplateMessage } from "../models/served-model.ts";
import { ArgumentsMeasure } from "./call-arguments.ts";
import { type ContentPart, unread } from "./content-parts.ts";

export type Turn = {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string | readonly ContentPart[];
  readonly name?: string | null | undefined;
  /** What the assistant thought before it wrote. */
  readonly reasoning?: string | null | undefined;
  readonly calls?: readonly TurnCall[] | undefined;
  /** Of the role `tool`: whose result it is. */
  readonly answers?: CallId | undefined;
  /** Path of its content in the request: `messages[0].content`. */
  readonly param: string;
};

/** The id of a call, and its path in the request. */
export type CallId = { readonly id: string; readonly param: string };

export type TurnCall = CallId & {
  readonly name: string;
  /** JSON as text. */
  readonly arguments: string;
  /** Their path in the request: `messages[1].tool_calls[0].function.arguments`. */
  readonly arguments_param: string;
};

export type Conversation = {
  readonly turns: readonly Turn[];
  /** The field that holds it: `messages`. */
  readonly param: string;
  /** Where a call stands that a result answers, in an error: "the assistant's message with …". */
  readonly call_place: string;
};

/** A turn that is text alone. */
export type TextTurn = Turn & { readonly content: string };

/** Throws ApiError (400) for the first part that is no text: no engine here reads any other. */
export function textTurns(model: string, turns: readonly Turn[]): readonly TextTurn[] {
  for (const { content } of turns) {
    if (typeof content === "string") continue;
    for (const part of content) if (part.kind !== "text") throw unread(model, part);
  }
  return turns as readonly TextTurn[];
}

/** As the chat template sees them. Throws ApiError (400) where calls and results do not fit. */
export function templateMessages(
  turns: readonly TextTurn[],
  { call_place }: Pick<Conversation, "call_place">,
): readonly TemplateMessage[] {
  const ledger = new CallLedger(call_place);
  return turns.map((turn) => {
    ledger.take(turn);
    return templateMessage(turn);
  });
}

function templateMessage({ role, content, name, reasoning, calls, answers }: TextTurn) {
  const turn = { role, content };
  const isPlain = name == null && reasoning == null;
  if (isPlain && calls === undefined && answers === undefined) return turn;
  return {
    ...turn,
    ...(name == null ? {} : { name }),
    ...(reasoning == null ? {} : { reasoning_content: reasoning }),
    ...(calls === undefined || calls.length === 0 ? {} : { tool_calls: calls.map(shownCall) }),
    ...(answers === undefined ? {} : { tool_call_id: answers.id }),
  };
}

const shownCall = ({ id, name, arguments: given }: TurnCall) => ({
  ...{ id, type: "function" },
  function: { name, arguments: given },
});

/** Which calls wait for their results, from turn to turn. */
class CallLedger {
  readonly #open = new Set<string>();
  readonly #arguments = new ArgumentsMeasure();
  readonly #call_place: string;

  constructor(call_place: string) {
    this.#call_place = call_place;
  }

  /** Throws ApiError (400). */
  take({ calls = [], answers }: Turn): void {
    for (const call of calls) {
      this.#call(call);
      this.#arguments.take(call.arguments, call.arguments_param);
    }
    if (answers !== undefined) this.#result(answers);
  }

  #call({ id, param }: CallId): void {
    if (this.#open.has(id)) {
      throw invalidValue(
        `'${param}' is '${clip(id)}', the id of another call that has no result yet.`,
        param,
      );
    }
    this.#open.add(id);
  }

  #result({ id, param }: CallId): void {
    if (this.#open.delete(id)) return;
    throw invalidValue(
      `'${param}' is '${clip(id)}', but nothing earlier is a call of this id that is still ` +
        `without a result. Send ${this.#call_place} before.`,
      param,
    );
  }
}
