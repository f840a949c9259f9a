/** What engines need for constrained answers, out of a model's file. */
import { readFileSync } from "node:fs";
import { parseGguf } from "../../../llm/model/gguf.ts";
import { modelFactsFromGguf, tokenizerFromBlob } from "../../../llm/model/model-card.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import type { Clock, Threads } from "../../../runtime/capabilities.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { realThreads } from "../../../runtime/real/threads/threads.ts";

const decoder = new TextDecoder();

export type GrammarParts = {
  readonly clock: Clock;
  readonly threads: Threads;
  readonly tokenizer_blob: Uint8Array;
  readonly tokenizer: Tokenizer;
  /** Empty: the model has none. */
  readonly chat_template: string;
  /** See ThreadedOptions. */
  readonly stage_ms?: number;
};

export function grammarParts(model_path: string): GrammarParts {
  const parse = parseGguf(new Uint8Array(readFileSync(model_path)));
  if (parse.kind !== "header") throw new Error(`${model_path} is no whole GGUF`);
  const facts = modelFactsFromGguf(parse.header, "model");
  const tokenizer_blob = facts.blobs.get(facts.tokenizer_blob)!;
  const tokenizer = tokenizerFromBlob(tokenizer_blob);
  const chat_template = decoder.decode(facts.blobs.get(facts.template_blob));
  const threads = realThreads();
  return { clock: realClock(), threads, tokenizer_blob, tokenizer, chat_template };
}

/** The text of an answer's tokens. */
export function textOf(tokenizer: Tokenizer, tokens: readonly number[]): string {
  return decoder.decode(Buffer.concat(tokens.map((token) => tokenizer.tokenBytes(token))));
}
