/** What a model's output is made of, as it comes: the vocabulary of all parsers. */

export type ParsedDelta =
  | { readonly kind: "content"; readonly text: string }
  | { readonly kind: "reasoning"; readonly text: string }
  /** A call begins. `id` only where the model wrote one itself. */
  | { readonly kind: "call"; readonly index: number; readonly name: string; readonly id?: string }
  /** More of a call's arguments: the pieces joined are JSON, once the call is complete. */
  | { readonly kind: "arguments"; readonly index: number; readonly text: string }
  /** `complete` false: the output was cut or broken inside the call, which then does not count. */
  | { readonly kind: "call_end"; readonly index: number; readonly complete: boolean };

export type ParsedEnd = {
  readonly deltas: readonly ParsedDelta[];
  /** The engine's own, but "tool_calls" where it said "stop" and there are calls. */
  readonly finish_reason: string;
};

/**
 * Reads one answer. What comes out depends on the text alone and not on how it is cut, so a parser
 * is rebuilt by pushing the text again that was pushed before.
 */
export interface AnswerParser {
  /** The text that comes next is reasoning, as far as is known. */
  readonly in_reasoning: boolean;
  /** May be called with any cut of the text, also inside a marker; "" is fine. */
  push(text: string): readonly ParsedDelta[];
  /** @param finish the engine's finish reason. To be called once, last. */
  end(finish: string): ParsedEnd;
}

export type ParsedCall = { readonly name: string; readonly arguments: string };

export type ParsedAnswer = {
  readonly content: string | null;
  readonly reasoning_content: string | null;
  /** Complete calls only. */
  readonly tool_calls: readonly ParsedCall[];
};

/** The whole answer out of its deltas: what an answer that is not streamed consists of. */
export function foldDeltas(deltas: Iterable<ParsedDelta>): ParsedAnswer {
  let content = "";
  let reasoning = "";
  const calls: { name: string; arguments: string; complete: boolean }[] = [];
  for (const delta of deltas) {
    if (delta.kind === "content") content += delta.text;
    else if (delta.kind === "reasoning") reasoning += delta.text;
    else if (delta.kind === "call") {
      calls[delta.index] = { name: delta.name, arguments: "", complete: false };
    } else {
      const call = calls[delta.index];
      if (call === undefined) continue;
      if (delta.kind === "arguments") call.arguments += delta.text;
      else call.complete = delta.complete;
    }
  }
  return {
    content: content === "" ? null : content,
    reasoning_content: reasoning === "" ? null : reasoning,
    tool_calls: calls
      .filter((call) => call.complete)
      .map((call) => ({ name: call.name, arguments: call.arguments })),
  };
}
