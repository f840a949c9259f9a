/** Which scores of prompts a request asks for, and what is known of the prompts before. */
import { requestLimits } from "../../../llm/model/request-limits.ts";
import { Detokenizer, tokenText } from "../../../llm/tokens/detokenizer.ts";
import type { AnswerRequest } from "../../stream/stream.ts";
import { invalidValue, unsupported } from "../api/api-error.ts";
import type { PromptScoring, ScoredPrompt } from "../api/dialect.ts";
import type { ServedModel } from "../models/served-model.ts";
import type { Prompt } from "./prompt-text.ts";

export type ScoresWanted = {
  /** Of the answer's tokens, and of the prompt's where it is echoed with them; -1: none. */
  readonly logprobs: number;
  readonly echoed: boolean;
  /** -1: none. */
  readonly prompt_logprobs: number;
  readonly stream: boolean;
};

/** Undefined: no scores are wanted. Throws ApiError (400). */
export function scoringOf(
  model: ServedModel,
  prompts: readonly Pick<Prompt, "tokens" | "text">[],
  { logprobs, echoed, prompt_logprobs, stream }: ScoresWanted,
): PromptScoring | undefined {
  const shown = echoed && logprobs >= 0;
  if (!shown && prompt_logprobs < 0) return undefined;
  if (stream && prompt_logprobs >= 0) {
    throw unsupported(
      "'prompt_logprobs' cannot be streamed. Ask without 'stream', or for 'echo' with 'logprobs'.",
      "prompt_logprobs",
    );
  }
  checkEntries(
    prompts,
    Math.max(logprobs, prompt_logprobs),
    shown ? "logprobs" : "prompt_logprobs",
  );
  const scored = prompts.map((prompt) => scoredPrompt(model, prompt, shown));
  return { prompts: scored, logprobs, prompt_logprobs };
}

/**
 * The answer with the scores of its prompt, told by so many choices. The engine tells as many of
 * the likeliest as any place shows.
 */
export function scoredAnswer(
  answer: AnswerRequest,
  scoring: PromptScoring | undefined,
  scored_choices: number,
): AnswerRequest {
  if (scoring === undefined) return answer;
  const logprobs = Math.max(answer.logprobs, scoring.prompt_logprobs, 0);
  return { ...answer, logprobs, scored_choices };
}

function checkEntries(
  prompts: readonly Pick<Prompt, "tokens">[],
  top: number,
  param: string,
): void {
  let tokens = 0;
  for (const prompt of prompts) tokens += prompt.tokens.length;
  const entries = tokens * (1 + top);
  if (entries <= requestLimits.prompt_scores) return;
  throw invalidValue(
    `'${param}' asks for ${entries} log probabilities of ${tokens} prompt tokens; at most ` +
      `${requestLimits.prompt_scores} are given in one answer. Lower '${param}', or send fewer or ` +
      "shorter prompts.",
    param,
  );
}

function scoredPrompt(
  model: ServedModel,
  prompt: Pick<Prompt, "tokens" | "text">,
  shown: boolean,
): ScoredPrompt {
  const { tokenizer } = model;
  const first = tokenText(tokenizer, prompt.tokens[0]!).text;
  const offsets = shown ? offsetsOf(model, prompt) : [];
  return { first, count: prompt.tokens.length - 1, offsets };
}

/**
 * Where tokens begin in what `echo` shows: the client's own text, or the text of its ids. A begin
 * token that the tokenizer put before a text takes no place in it.
 */
function offsetsOf(model: ServedModel, { tokens, text }: Pick<Prompt, "tokens" | "text">) {
  const { tokenizer, bos_text } = model;
  const show_control = text !== undefined;
  const decoder = new Detokenizer(tokenizer, { show_control, at_text_start: true });
  const added = tokenizer.add_bos && tokens[0] === tokenizer.special.bos;
  const from = show_control && added && !text.startsWith(bos_text) ? 1 : 0;
  const offsets: number[] = from === 1 ? [0] : [];
  let at = 0;
  for (let i = from; i < tokens.length; i += 1) {
    offsets.push(at);
    at += decoder.pushToken(tokens[i]!).length;
  }
  return offsets;
}
