/**
 * A checked body and a model → the answers to start. Pure but for the seed drawn from `random`;
 * everything that is wrong is an ApiError (400).
 */
import { requestLimits } from "../../../llm/model/request-limits.ts";
import type { RouteHints } from "../../../proto/index.ts";
import type { Random } from "../../../runtime/capabilities.ts";
import type { AnswerRequest } from "../../stream/stream.ts";
import { invalidValue, unsupported } from "../api/api-error.ts";
import type { ChatBody } from "../api/chat/chat-fields.ts";
import type { CompletionBody } from "../api/completions/completion-fields.ts";
import type { ServedModel, TemplateVariables } from "../models/served-model.ts";
import {
  decodeTokens,
  encodeChat,
  type Prompt,
  readPrompts,
  type TimedStage,
} from "./prompt-text.ts";
import { answerBudget, checkTogether, samplingOf, stopsOf } from "./sampling-request.ts";

export type Endpoint = "chat_completions" | "completions" | "embeddings";

export type PrepareContext = {
  readonly random: Random;
  /** The server's id of the HTTP request; answers of batched prompts get a number behind it. */
  readonly request: string;
  readonly deadline_ms: number;
  /** Worker named by the client, else empty. */
  readonly pin: string;
  /** What else it said of routing. */
  readonly hints?: RouteHints | undefined;
  /** Chat answers without a limit of their own end here. */
  readonly default_max_tokens: number;
  readonly timed: TimedStage;
};

export type Generation = {
  readonly endpoint: Endpoint;
  readonly model: ServedModel;
  /** One a prompt, in order. */
  readonly answers: readonly AnswerRequest[];
  /** Shown to the client, per prompt. */
  readonly shown_each: number;
  /**
   * Made per prompt: more than shown when the best are picked, one alone when all would be equal.
   */
  readonly made_each: number;
  /** Counted in usage per prompt: as many as the client asked to be made. */
  readonly counted_each: number;
  /** Per prompt, what `echo` puts before the answer; undefined without. */
  readonly echo: readonly string[] | undefined;
  readonly stream: boolean;
  readonly include_usage: boolean;
  /** Log probabilities are shown. They may be made only to pick the best answers. */
  readonly logprobs: boolean;
};

/** OpenAI's default for text completions. */
const COMPLETION_TOKENS = 16;

export function prepareChat(body: ChatBody, model: ServedModel, ctx: PrepareContext): Generation {
  const n = body.n ?? 1;
  const sampling = samplingOf(body, model, ctx.random);
  checkTogether(body, 1, n);
  const made_each = sampling.temperature === 0 ? 1 : n;
  if (body.top_logprobs != null && body.top_logprobs > 0 && body.logprobs !== true) {
    throw invalidValue("'top_logprobs' needs 'logprobs': true.", "top_logprobs");
  }
  const tokens = encodeChat(
    model,
    body.messages,
    body.add_generation_prompt ?? true,
    templateVariables(body),
    ctx.timed,
  );
  const wanted = body.max_completion_tokens ?? body.max_tokens ?? undefined;
  const max_tokens = answerBudget(model, tokens.length, wanted, ctx.default_max_tokens, "messages");
  const answer: AnswerRequest = {
    request: ctx.request,
    model: model.name,
    prompt: tokens,
    sampling,
    choices: made_each,
    max_tokens,
    ...stopping(body, model, max_tokens),
    logprobs: body.logprobs === true ? (body.top_logprobs ?? 0) : -1,
    deadline_ms: ctx.deadline_ms,
    pin: ctx.pin,
    ...(ctx.hints === undefined ? {} : { hints: ctx.hints }),
  };
  return {
    endpoint: "chat_completions",
    model,
    answers: [answer],
    shown_each: n,
    made_each,
    counted_each: n,
    echo: undefined,
    stream: body.stream ?? false,
    include_usage: body.stream_options?.include_usage ?? false,
    logprobs: body.logprobs === true,
  };
}

/** What the server hands to the template itself, under the names that templates know. */
const ownVariables = [
  ...["messages", "add_generation_prompt", "bos_token", "eos_token"],
  ...["tools", "strftime_now"],
] as const;

function templateVariables(body: ChatBody): TemplateVariables {
  const given = body.chat_template_kwargs ?? {};
  for (const name of ownVariables) {
    if (!Object.hasOwn(given, name)) continue;
    throw invalidValue(
      `'chat_template_kwargs.${name}' cannot be set: the server hands '${name}' to the template. ` +
        (name === "messages" || name === "add_generation_prompt"
          ? `Use the field '${name}' of the request.`
          : "Remove it."),
      `chat_template_kwargs.${name}`,
    );
  }
  return body.reasoning_effort == null
    ? given
    : { ...given, reasoning_effort: body.reasoning_effort };
}

export function prepareCompletion(
  body: CompletionBody,
  model: ServedModel,
  ctx: PrepareContext,
): Generation {
  const n = body.n ?? 1;
  const best_of = body.best_of ?? n;
  const sampling = samplingOf(body, model, ctx.random);
  checkCompletion(body, n, best_of);
  ctx.timed.begin();
  const prompts = readPrompts(model, body.prompt, "prompt", requestLimits.answers, "begins");
  ctx.timed.end("tokenize");
  checkTogether(body, prompts.length, best_of);
  const made_each = sampling.temperature === 0 ? 1 : best_of;
  const logprobs = made_each > n ? (body.logprobs ?? 0) : (body.logprobs ?? -1);
  const answers = prompts.map((prompt, i): AnswerRequest => {
    const wanted = body.max_tokens ?? undefined;
    // Only an echo may ask for no token at all, and then nothing is started.
    const room = wanted === 0 ? 1 : wanted;
    const max_tokens = answerBudget(
      model,
      prompt.tokens.length,
      room,
      COMPLETION_TOKENS,
      prompt.param,
    );
    return {
      request: prompts.length === 1 ? ctx.request : `${ctx.request}-${i}`,
      model: model.name,
      prompt: prompt.tokens,
      // Equal prompts of one request must not get equal answers.
      sampling: i === 0 ? sampling : { ...sampling, seed: nextSeed(sampling.seed, i) },
      choices: made_each,
      max_tokens: wanted === 0 ? 0 : max_tokens,
      ...stopping(body, model, wanted === 0 ? 0 : max_tokens),
      logprobs,
      deadline_ms: ctx.deadline_ms,
      pin: ctx.pin,
      ...(ctx.hints === undefined ? {} : { hints: ctx.hints }),
    };
  });
  return {
    endpoint: "completions",
    model,
    answers,
    shown_each: n,
    made_each,
    counted_each: best_of,
    echo: body.echo === true ? prompts.map((prompt) => echoText(prompt, model)) : undefined,
    stream: body.stream ?? false,
    include_usage: body.stream_options?.include_usage ?? false,
    logprobs: body.logprobs != null,
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
  if (body.echo === true && body.logprobs != null) {
    throw unsupported(
      "'logprobs' of an echoed prompt are not computed. Leave 'logprobs' or 'echo' out.",
      "logprobs",
    );
  }
  if (body.max_tokens === 0 && body.echo !== true) {
    throw invalidValue("'max_tokens' must be at least 1 without 'echo'.", "max_tokens");
  }
}

type StoppingBody = Parameters<typeof stopsOf>[0] & {
  readonly min_tokens?: number | null | undefined;
  readonly ignore_eos?: boolean | null | undefined;
  readonly include_stop_str_in_output?: boolean | null | undefined;
};

function stopping(body: StoppingBody, model: ServedModel, max_tokens: number) {
  const min_tokens = body.min_tokens ?? 0;
  if (min_tokens > max_tokens) {
    throw invalidValue(
      `'min_tokens' is ${min_tokens}, but the answer may have ${max_tokens} tokens at most. ` +
        "Lower it, or raise 'max_tokens'.",
      "min_tokens",
    );
  }
  const stops = stopsOf(body, model);
  return {
    min_tokens,
    stop_tokens: stops.tokens,
    stop_strings: stops.strings,
    include_stop: body.include_stop_str_in_output ?? false,
    ignore_eos: body.ignore_eos ?? false,
  };
}

function nextSeed(seed: Uint8Array, step: number): Uint8Array {
  const next = seed.slice();
  const view = new DataView(next.buffer);
  view.setBigUint64(0, view.getBigUint64(0, true) + BigInt(step), true);
  return next;
}

const echoText = (prompt: Prompt, model: ServedModel): string =>
  prompt.text ?? decodeTokens(model, prompt.tokens);
