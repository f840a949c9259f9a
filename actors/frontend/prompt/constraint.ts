/**
 * What a request asks of an answer's form → the constraint that its worker holds it to: a form of
 * the text, calls that have to come or have to fit, a limit of the reasoning. It knows no dialect.
 */
import {
  type AnswerWish,
  answerConstraint,
  NoCallGrammarError,
} from "../../../llm/constraint/answer-constraint.ts";
import { constraintText } from "../../../llm/constraint/constraint.ts";
import { GrammarSizeError } from "../../../llm/constraint/schema/rules.ts";
import { type TextForm, TextFormError } from "../../../llm/constraint/text-form.ts";
import { ToolSchemaError } from "../../../llm/constraint/tools/family.ts";
import { NO_PARSER } from "../../../llm/parsers/names.ts";
import {
  promptCloses,
  promptOpens,
  type ThinkingRequest,
  thinking,
} from "../../../llm/parsers/parser-for.ts";
import { ApiError, clip, invalidValue } from "../api/api-error.ts";
import type { ServedModel } from "../models/served-model.ts";
import type { HeldTools } from "./tools.ts";

/** A form, and the field that asked for it. */
export type FormRequest = { readonly form: TextForm; readonly param: string };

/** Most tokens of the reasoning. */
export type ThinkingLimit = { readonly max_tokens: number; readonly param: string };

export type ConstraintRequest = {
  readonly form?: FormRequest | undefined;
  /** Undefined: nothing is said of calls. */
  readonly calls?: HeldTools | undefined;
  readonly thinking_limit?: ThinkingLimit | undefined;
  readonly thinking: ThinkingRequest;
  /** As it was rendered: it may end inside the reasoning. */
  readonly prompt: string;
};

/** Parts of an AnswerRequest. `constraint_param`: the field to blame when no worker can hold it. */
export type SetConstraint = { readonly constraint: string; readonly constraint_param: string };

/** Of a text that no parser reads. Throws ApiError (400). */
export function textConstraint(model: ServedModel, form: FormRequest): SetConstraint | undefined {
  const parsers = { ...model.parsers, tool: NO_PARSER, reasoning: NO_PARSER };
  return constraintOf({ ...model, parsers }, { form, thinking: {}, prompt: "" });
}

/** Undefined: the answer is free. Throws ApiError (400). */
export function constraintOf(
  model: ServedModel,
  request: ConstraintRequest,
): SetConstraint | undefined {
  const { form, calls, thinking_limit } = request;
  const param = form?.param ?? calls?.param ?? thinking_limit?.param;
  if (param === undefined) return undefined;
  if (model.card.capabilities?.constrains !== true) throw notHeld(model, param);
  if (calls !== undefined && calls.tools.length > HELD_TOOLS_MAX) {
    throw invalidValue(
      `'tools' has ${calls.tools.length} functions; at most ${HELD_TOOLS_MAX} can be held to their ` +
        "schemas in one request. Send fewer, or leave 'strict' and 'tool_choice' out.",
      "tools",
    );
  }
  const { tool, reasoning } = model.parsers;
  const end = request.prompt.slice(-PROMPT_END_CHARS);
  const wish: AnswerWish = {
    tool_parser: tool,
    reasoning_parser: reasoning,
    opened: promptOpens(end, reasoning),
    closed: promptCloses(end, reasoning),
    thinking: thinking(request.thinking),
    max_thinking_tokens: thinking_limit?.max_tokens,
    text: form?.form,
    calls: calls && {
      required: calls.required,
      many: calls.many,
      tools: calls.tools.map(({ name, parameters, strict }) => ({
        name,
        parameters: parameters ?? undefined,
        strict: strict === true,
      })),
    },
  };
  const constraint = model.constraints.of(wish, () => madeText(wish, request, model));
  return constraint === "" ? undefined : { constraint, constraint_param: param };
}

/** No opener of a reasoning is as long. */
const PROMPT_END_CHARS = 256;

/** More take too long to write out. */
export const HELD_TOOLS_MAX = 256;

/** "" for none. */
function madeText(wish: AnswerWish, { form, calls }: ConstraintRequest, model: ServedModel) {
  try {
    const constraint = answerConstraint(wish);
    const text = constraint === undefined ? "" : constraintText(constraint);
    if (text.length <= CONSTRAINT_CHARS_MAX) return text;
    throw new GrammarSizeError();
  } catch (error) {
    if (error instanceof TextFormError) {
      throw wrongForm(joined(form?.param ?? "", error.path), error.message);
    }
    if (error instanceof ToolSchemaError) {
      const tool = calls?.tools[error.tool];
      const base = tool?.schema_param ?? `${tool?.param ?? "tools"}.parameters`;
      throw wrongForm(joined(base, error.path), error.message);
    }
    if (error instanceof GrammarSizeError) {
      throw wrongForm(form?.param ?? "tools", `${error.message}. Ask for less`);
    }
    if (error instanceof NoCallGrammarError) throw noCallGrammar(error, calls, model);
    throw error;
  }
}

/** Longer texts take too long to compile, and to send. */
export const CONSTRAINT_CHARS_MAX = 262_144;

const joined = (base: string, path: string): string =>
  path === "" || path.startsWith("[") ? base + path : `${base}.${path}`;

const PARAM_CHARS_MAX = 1_024;

const wrongForm = (param: string, what: string) => {
  const path = param.length > PARAM_CHARS_MAX ? clip(param) : param;
  return invalidValue(`'${path}' cannot be used: ${clip(what)}.`, path);
};

function noCallGrammar(
  { parser, beside_text }: NoCallGrammarError,
  calls: HeldTools | undefined,
  { name }: ServedModel,
): ApiError {
  const param = calls?.param ?? "tools";
  const instead = beside_text ? " beside text. Send 'tool_choice': \"required\"" : "";
  return new ApiError(
    400,
    "not_supported",
    `Calls of '${name}' (tool parser '${parser}') cannot be held to their schemas${instead}.`,
    param,
  );
}

function notHeld({ name, card }: ServedModel, param: string): ApiError {
  return new ApiError(
    400,
    "not_supported",
    `'${param}' is not supported: the engine of '${name}' (${card.engine}) cannot hold an answer ` +
      "to a form. Leave the field out, or use a model of another engine.",
    param,
  );
}
