/**
 * A conversation with its functions → one answer to start, whatever the dialect: the template, the
 * tokens, the parsers, the sampling. Everything that is wrong is an ApiError (400).
 */
import type { ThinkingRequest } from "../../../llm/parsers/parser-for.ts";
import type { AnswerRequest } from "../../stream/stream.ts";
import type { AnswerParsing } from "../api/answer-parsing.ts";
import type { SamplingBody } from "../api/request-fields.ts";
import type { ServedModel, TemplateVariables } from "../models/served-model.ts";
import { constraintOf, type FormRequest, type ThinkingLimit } from "./constraint.ts";
import type { PrepareContext } from "./prepare-context.ts";
import { encodeChat, encodeText, givenPrompt } from "./prompt-text.ts";
import { answerBudget, checkTogether, saltOf, samplingOf, stoppingOf } from "./sampling-request.ts";
import { callableTools, heldTools, parsingOf, shownTools, type ToolRequest } from "./tools.ts";
import type { Conversation } from "./turns.ts";

export type ChatAnswerRequest = {
  readonly conversation: Conversation;
  readonly tools: ToolRequest;
  readonly add_generation_prompt: boolean;
  /** For the chat template. */
  readonly variables: TemplateVariables;
  readonly thinking: ThinkingRequest;
  readonly sampling: SamplingBody;
  /** Most tokens of the answer; undefined: what the server gives. */
  readonly max_tokens: number | undefined;
  /** The answer gets what the context has left, where that is less; false: such a wish is a 400. */
  readonly cut_to_context?: boolean;
  /** The last turn is the beginning of the answer, which goes on with it. */
  readonly continues?: boolean;
  /** -1 none, 0 the chosen token's, N and the N likeliest. */
  readonly logprobs: number;
  /** The form of the text; undefined: any. */
  readonly form?: FormRequest | undefined;
  readonly thinking_limit?: ThinkingLimit | undefined;
  /** What most of the answer is likely to be. */
  readonly predicted?: string | undefined;
};

export type ChatAnswer = {
  readonly answer: AnswerRequest;
  readonly parsing: AnswerParsing | undefined;
};

/** What has begun is the answer, unless the prompt ends inside the reasoning. */
const ANSWERING: ThinkingRequest = { chat_template_kwargs: { enable_thinking: false } };

export function chatAnswer(
  request: ChatAnswerRequest,
  model: ServedModel,
  ctx: PrepareContext,
): ChatAnswer {
  const { conversation, add_generation_prompt, variables, logprobs } = request;
  const n = request.sampling.n ?? 1;
  const sampling = samplingOf(request.sampling, model, ctx);
  checkTogether(request.sampling, 1, n);
  const tools = callableTools(request.tools, model);
  const { continues = false, cut_to_context = false } = request;
  const shown = { add_generation_prompt, variables, tools: shownTools(tools), continues };
  const { tokens, text } =
    ctx.prompt_tokens === undefined
      ? encodeChat(model, conversation, shown, ctx.timed)
      : givenPrompt(model, ctx.prompt_tokens);
  const { tools: asked, form, thinking_limit } = request;
  const { one_call, choice } = asked;
  const thinking = continues ? ANSWERING : request.thinking;
  const named = choice.kind === "named";
  const parsing = parsingOf(model, { tools, one_call, named, thinking, prompt: text });
  const calls = heldTools(asked, tools, form !== undefined);
  const held = constraintOf(model, { form, calls, thinking_limit, thinking, prompt: text });
  const max_tokens = answerBudget(
    model,
    tokens.length,
    cut_to_context ? undefined : request.max_tokens,
    (cut_to_context ? request.max_tokens : undefined) ?? ctx.default_max_tokens,
    conversation.param,
  );
  const answer: AnswerRequest = {
    request: ctx.request,
    model: model.name,
    prompt: tokens,
    sampling,
    // Without temperature all answers are equal, so one is made.
    choices: sampling.temperature === 0 ? 1 : n,
    max_tokens,
    ...stoppingOf(request.sampling, model, max_tokens),
    logprobs,
    deadline_ms: ctx.deadline_ms,
    pin: ctx.pin,
    shown_tokens: parsing && model.parsers.shownTokens(parsing.tool, parsing.reasoning),
    ...(ctx.hints === undefined ? {} : { hints: ctx.hints }),
    ...saltOf(request.sampling, model, ctx),
    ...predictedOf(request.predicted, model),
    ...held,
  };
  return { answer, parsing };
}

const PLAIN_TEXT = { add_special: false, parse_special: false };

function predictedOf(text: string | undefined, model: ServedModel) {
  if (text === undefined || text === "") return {};
  return { predicted: encodeText(model, text, PLAIN_TEXT, "prediction.content") };
}
