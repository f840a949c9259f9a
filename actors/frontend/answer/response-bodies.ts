/** The JSON of answers that are not streamed. Shapes: OpenAI's API reference. */
import type { AnswerEnd, AnswerPiece, AnswerUsage, PieceLogprob } from "../../stream/stream.ts";
import { chatLogprob, completionLogprobs, usageJson } from "./chunk-format.ts";

/** One finished answer. */
export type CollectedChoice = {
  readonly text: string;
  readonly logprobs: readonly PieceLogprob[];
  readonly end: AnswerEnd;
};

export type ResponseHead = {
  readonly id: string;
  readonly created_s: number;
  readonly model: string;
};

/** Collects the pieces of one choice; text is joined once, at its end. */
export class ChoiceCollector {
  readonly #texts: string[] = [];
  readonly #logprobs: PieceLogprob[] = [];
  #end: AnswerEnd | undefined;

  add(piece: AnswerPiece): void {
    this.#texts.push(piece.text);
    for (const entry of piece.logprobs ?? []) this.#logprobs.push(entry);
  }

  finish(end: AnswerEnd): void {
    this.#end = end;
  }

  /** Undefined while the choice has not ended. */
  result(): CollectedChoice | undefined {
    if (this.#end === undefined) return undefined;
    return { text: this.#texts.join(""), logprobs: this.#logprobs, end: this.#end };
  }
}

export function chatBody(
  head: ResponseHead,
  choices: readonly CollectedChoice[],
  usage: AnswerUsage,
  with_logprobs: boolean,
) {
  return {
    id: head.id,
    object: "chat.completion",
    created: head.created_s,
    model: head.model,
    choices: choices.map((choice, index) => ({
      index,
      message: { role: "assistant", content: choice.text, refusal: null },
      logprobs: with_logprobs ? { content: choice.logprobs.map(chatLogprob), refusal: null } : null,
      finish_reason: choice.end.reason,
      ...stopReason(choice.end),
    })),
    usage: usageJson(usage),
  };
}

/** `echo` is what stands before the answer of each choice. */
export function completionBody(
  head: ResponseHead,
  choices: readonly (CollectedChoice & { readonly echo: string })[],
  usage: AnswerUsage,
  with_logprobs: boolean,
) {
  return {
    id: head.id,
    object: "text_completion",
    created: head.created_s,
    model: head.model,
    choices: choices.map((choice, index) => ({
      index,
      text: choice.echo + choice.text,
      logprobs: with_logprobs ? completionLogprobs(choice.logprobs, choice.echo.length) : null,
      finish_reason: choice.end.reason,
      ...stopReason(choice.end),
    })),
    usage: usageJson(usage),
  };
}

const stopReason = (end: AnswerEnd) =>
  end.stop_reason === undefined ? {} : { stop_reason: end.stop_reason };

/** The `count` answers with the highest mean log probability, best first. */
export function pickBest(
  choices: readonly CollectedChoice[],
  count: number,
): readonly CollectedChoice[] {
  if (choices.length <= count) return choices;
  return choices
    .map((choice) => ({ choice, score: meanLogprob(choice.logprobs) }))
    .sort((a, b) => (a.score === b.score ? 0 : b.score - a.score))
    .slice(0, count)
    .map((scored) => scored.choice);
}

/** An answer without tokens is no answer, so it comes last. */
export function meanLogprob(logprobs: readonly PieceLogprob[]): number {
  if (logprobs.length === 0) return Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (const entry of logprobs) sum += entry.logprob;
  return sum / logprobs.length;
}

export type EmbeddingItem = { readonly values: Uint8Array; readonly prompt_tokens: number };

/** `values` are little-endian 32-bit floats, as they came over the wire. */
export function embeddingBody(
  model: string,
  items: readonly EmbeddingItem[],
  format: "float" | "base64",
) {
  let prompt_tokens = 0;
  for (const item of items) prompt_tokens += item.prompt_tokens;
  return {
    object: "list",
    data: items.map((item, index) => ({
      object: "embedding",
      index,
      embedding:
        format === "base64" ? Buffer.from(item.values).toString("base64") : floatsOf(item.values),
    })),
    model,
    usage: { prompt_tokens, total_tokens: prompt_tokens },
  };
}

function floatsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: number[] = [];
  for (let at = 0; at + 4 <= bytes.byteLength; at += 4) values.push(view.getFloat32(at, true));
  return values;
}
