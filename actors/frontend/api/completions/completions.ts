/**
 * The dialect of POST /v1/completions. Preparing is pure but for the seed drawn from `random`;
 * everything that is wrong is an ApiError (400).
 */
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import type { AnswerRequest } from "../../../stream/stream.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { textConstraint } from "../../prompt/constraint.ts";
import { gapPrompts } from "../../prompt/gap-prompts.ts";
import type { PrepareContext } from "../../prompt/prepare-context.ts";
import { scoredAnswer, scoringOf } from "../../prompt/prompt-scoring.ts";
import { decodeTokens, type Prompt, readPrompts } from "../../prompt/prompt-text.ts";
import {
  answerBudget,
  checkTogether,
  saltOf,
  samplingOf,
  stoppingOf,
} from "../../prompt/sampling-request.ts";
import { invalidValue, unsupported } from "../api-error.ts";
import type { Generation, GenerationDialect } from "../dialect.ts";
import { formOf } from "../form-fields.ts";
import { nvextNames } from "../nvext-fields.ts";
import { openAiErrorBody } from "../openai-format.ts";
import { type CompletionBody, completionFields, completionShape } from "./completion-fields.ts";
import { CompletionChunks, completionBody } from "./completion-format.ts";

export const completions: GenerationDialect = {
  makes: "generation",
  name: "completions",
  path: "/v1/completions",
  page: { summary: "A text completion", schema: "CompletionRequest", streams: true },
  fields: completionFields,
  nested: [nvextNames],
  id_prefix: "cmpl-",
  limit_fields: ["max_tokens"],
  prepare: (body, scope) => {
    const checked = scope.shaped(body, completionShape);
    const context = scope.contextOf(checked.nvext);
    return prepareCompletion(checked, scope.modelOf(checked.model), context);
  },
  chunks: (head) => new CompletionChunks(head),
  body: completionBody,
  errorBody: openAiErrorBody,
};

/** OpenAI's default. */
const COMPLETION_TOKENS = 16;

/** The field that the prompt is in. */
const promptParam = ({ prompt_tokens }: PrepareContext): string =>
  prompt_tokens === undefined ? "prompt" : "nvext.token_data";

export function prepareCompletion(
  body: CompletionBody,
  model: ServedModel,
  ctx: PrepareContext,
): Generation {
  const n = body.n ?? 1;
  const best_of = body.best_of ?? n;
  const sampling = samplingOf(body, model, ctx);
  checkCompletion(body, n, best_of);
  ctx.timed.begin();
  const suffix = body.suffix ?? "";
  const given = ctx.prompt_tokens ?? body.prompt;
  const prompts =
    suffix === "" || ctx.prompt_tokens !== undefined
      ? readPrompts(model, given, promptParam(ctx), requestLimits.answers, "begins")
      : gapPrompts(model, body.prompt, suffix);
  ctx.timed.end("tokenize");
  checkTogether(body, prompts.length, best_of);
  const made_each = sampling.temperature === 0 ? 1 : best_of;
  const stream = body.stream ?? false;
  const scoring = scoringOf(model, prompts, {
    logprobs: body.logprobs ?? -1,
    echoed: body.echo === true,
    prompt_logprobs: body.prompt_logprobs ?? -1,
    stream,
  });
  const logprobs = body.logprobs ?? (made_each > n ? 0 : -1);
  // A stream tells each choice's own, as it cannot wait for another choice.
  const scored_choices = stream ? made_each : 1;
  const form = formOf(body);
  const held = form === undefined ? undefined : textConstraint(model, form);
  const answers = prompts.map((prompt, i) => {
    const wanted = body.max_tokens ?? undefined;
    // Only who wants to know of the prompt asks for no token at all.
    const room = wanted === 0 ? 1 : wanted;
    const max_tokens = answerBudget(
      model,
      prompt.tokens.length,
      room,
      COMPLETION_TOKENS,
      prompt.param,
    );
    const answer: AnswerRequest = {
      request: prompts.length === 1 ? ctx.request : `${ctx.request}-${i}`,
      model: model.name,
      prompt: prompt.tokens,
      // Equal prompts of one request must not get equal answers.
      sampling: i === 0 ? sampling : { ...sampling, seed: nextSeed(sampling.seed, i) },
      choices: made_each,
      max_tokens: wanted === 0 ? 0 : max_tokens,
      ...stoppingOf(body, model, wanted === 0 ? 0 : max_tokens),
      logprobs,
      deadline_ms: ctx.deadline_ms,
      pin: ctx.pin,
      ...(ctx.hints === undefined ? {} : { hints: ctx.hints }),
      ...saltOf(body, model, ctx),
      ...held,
    };
    return scoredAnswer(answer, scoring, scored_choices);
  });
  return {
    dialect: completions,
    model,
    answers,
    shown_each: n,
    made_each,
    counted_each: best_of,
    echo: body.echo === true ? prompts.map((prompt) => echoText(prompt, model)) : undefined,
    stream,
    include_usage: body.stream_options?.include_usage ?? false,
    logprobs: body.logprobs != null,
    scoring,
  };
}

function checkCompletion(body: CompletionBody, n: number, best_of: number): void {
  if (best_of < n) {
    throw invalidValue(`'best_of' is ${best_of} but 'n' is ${n}; it must not be less.`, "best_of");
  }
  if (best_of > n && body.stream === true) {
    throw unsupported(
      "'best_of' above 'n' cannot be streamed: the best is known last. Ask without 'stream'.",
      "best_of",
    );
  }
  if (body.suffix && (body.echo === true || body.prompt_logprobs != null)) {
    throw invalidValue(
      "'suffix' goes neither with 'echo' nor with 'prompt_logprobs', as the prompt is not one text.",
      "suffix",
    );
  }
  if (body.max_tokens === 0 && body.echo !== true && body.prompt_logprobs == null) {
    throw invalidValue(
      "'max_tokens' must be at least 1 without 'echo' and 'prompt_logprobs'.",
      "max_tokens",
    );
  }
}

function nextSeed(seed: Uint8Array, step: number): Uint8Array {
  const next = seed.slice();
  const view = new DataView(next.buffer);
  view.setBigUint64(0, view.getBigUint64(0, true) + BigInt(step), true);
  return next;
}

const echoText = (prompt: Prompt, model: ServedModel): string =>
  prompt.text ?? decodeTokens(model, prompt.tokens);
