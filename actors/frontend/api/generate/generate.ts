/**
 * The dialect of POST /inference/v1/generate: token ids in, token ids out. Preparing is pure but
 * for the seed drawn from `random`; everything that is wrong is an ApiError (400).
 */
import type { AnswerRequest } from "../../../stream/stream.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { textConstraint } from "../../prompt/constraint.ts";
import type { PrepareContext } from "../../prompt/prepare-context.ts";
import { scoredAnswer, scoringOf } from "../../prompt/prompt-scoring.ts";
import { checkTokenIds } from "../../prompt/prompt-text.ts";
import {
  answerBudget,
  checkTogether,
  saltOf,
  samplingOf,
  stoppingOf,
} from "../../prompt/sampling-request.ts";
import { ApiError, invalidValue } from "../api-error.ts";
import type { Generation, GenerationDialect } from "../dialect.ts";
import { formOf } from "../form-fields.ts";
import { nvextNames } from "../nvext-fields.ts";
import { openAiErrorBody } from "../openai-format.ts";
import {
  GENERATE_TOKENS,
  type GenerateBody,
  generateFields,
  generateSamplingFields,
  generateShape,
} from "./generate-fields.ts";
import { GenerateChunks, generateBody } from "./generate-format.ts";

export const generate: GenerationDialect = {
  makes: "generation",
  name: "inference_generate",
  path: "/inference/v1/generate",
  page: { summary: "Tokens that follow tokens", schema: "GenerateRequest", streams: true },
  fields: generateFields,
  nested: [
    {
      name: "sampling_params",
      fields: generateSamplingFields,
      is_list: false,
      ignores_unknown: false,
    },
    nvextNames,
  ],
  id_prefix: "generate-tokens-",
  prepare: (body, scope) => {
    const checked = scope.shaped(body, generateShape);
    const context = scope.contextOf(checked.nvext);
    return prepareGenerate(checked, scope.modelOf(checked.model ?? undefined), context);
  },
  chunks: (head) => new GenerateChunks(head),
  body: generateBody,
  errorBody: openAiErrorBody,
};

function prepareGenerate(body: GenerateBody, model: ServedModel, ctx: PrepareContext): Generation {
  const { token_ids, stream, stream_options } = body;
  if (token_ids.length === 0) {
    throw invalidValue("'token_ids' is empty; send at least one token id.", "token_ids");
  }
  const prompt = checkTokenIds(model, token_ids, "token_ids");
  const salt = saltOf(body, model, ctx);
  const { n, request, include_usage, logprobs, scoring } = within("sampling_params", () => {
    const params = { ...body.sampling_params, model: model.name, stream, stream_options };
    const n = params.n ?? 1;
    const sampling = samplingOf(params, model, ctx);
    checkTogether(params, 1, n);
    const max_tokens = answerBudget(
      model,
      prompt.length,
      params.max_tokens ?? undefined,
      GENERATE_TOKENS,
      "token_ids",
    );
    const scoring = scoringOf(model, [{ tokens: prompt, text: undefined }], {
      logprobs: params.logprobs ?? -1,
      echoed: false,
      prompt_logprobs: params.prompt_logprobs ?? -1,
      stream: stream ?? false,
    });
    const form = formOf(params);
    const held = form && textConstraint(model, form);
    const request: AnswerRequest = {
      request: ctx.request,
      model: model.name,
      prompt,
      sampling,
      choices: sampling.temperature === 0 ? 1 : n,
      max_tokens,
      ...stoppingOf(params, model, max_tokens),
      logprobs: params.logprobs ?? -1,
      deadline_ms: ctx.deadline_ms,
      pin: ctx.pin,
      ...(ctx.hints === undefined ? {} : { hints: ctx.hints }),
      ...salt,
      ...(held && { ...held, constraint_param: `sampling_params.${held.constraint_param}` }),
    };
    const include_usage = stream_options?.include_usage ?? false;
    return { n, request, include_usage, logprobs: params.logprobs != null, scoring };
  });
  return {
    dialect: generate,
    model,
    answers: [scoredAnswer(request, scoring, 1)],
    shown_each: n,
    made_each: request.choices,
    counted_each: n,
    echo: undefined,
    stream: stream ?? false,
    include_usage,
    logprobs,
    scoring,
  };
}

/** Errors of shared checks name fields as other dialects have them; here they are inside of one. */
function within<T>(field: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof ApiError) || error.param === null) throw error;
    if (!Object.hasOwn(generateSamplingFields, error.param.split(/[.[]/, 1)[0] ?? "")) throw error;
    const { status, code, message, param } = error;
    const place = `${field}.${param}`;
    throw new ApiError(status, code, message.replace(`'${param}'`, `'${place}'`), place);
  }
}
