/** The dialect of POST /v1/score: how well pairs of texts go together. Shapes: vLLM's. */
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import type { NamedText } from "../../prompt/pairs.ts";
import { poolRequest } from "../../prompt/pool-inputs.ts";
import { scoringOf } from "../../prompt/scoring.ts";
import { ApiError, invalidValue } from "../api-error.ts";
import type { EmbeddingDialect } from "../dialect.ts";
import { nvextNames } from "../nvext-fields.ts";
import { openAiErrorBody } from "../openai-format.ts";
import { type TextItem, textOf, usageOf } from "../pool-fields.ts";
import { type ScoreBody, scoreFields, scoreShape, type Texts } from "./score-fields.ts";

export const score: EmbeddingDialect = {
  makes: "embedding",
  name: "score",
  path: "/v1/score",
  aliases: ["/score"],
  page: { summary: "How well pairs of texts go together", schema: "ScoreRequest", streams: false },
  fields: scoreFields,
  nested: [nvextNames],
  prepare: (body, scope) => {
    const checked = scope.shaped(body, scoreShape);
    const context = scope.contextOf(checked.nvext);
    const model = scope.modelOf(checked.model);
    const [left, right] = sidesOf(checked);
    const scoring = scoringOf(model, left, right, checked.use_activation ?? true);
    return {
      model,
      request: poolRequest(model, context, scoring.pool, scoring.inputs),
      body: (items, { prompt_tokens, created_s }) => {
        const scores = scoring.scores(items);
        return JSON.stringify({
          id: `score-${context.request}`,
          object: "list",
          created: created_s,
          model: model.name,
          data: scores.map((value, index) => ({ index, object: "score", score: value })),
          usage: usageOf(prompt_tokens),
        });
      },
    };
  },
  errorBody: openAiErrorBody,
};

/** The names of both sides that belong together. */
const pairsOfNames = [
  ["text_1", "text_2"],
  ["queries", "documents"],
  ["queries", "items"],
  ["data_1", "data_2"],
] as const;

/** One text on the left for all of the right, or as many on both sides. Throws ApiError (400). */
function sidesOf(body: ScoreBody): readonly [readonly NamedText[], readonly NamedText[]] {
  const given = [...new Set(pairsOfNames.flat())].filter((name) => body[name] != null);
  const names = pairsOfNames.find(([a, b]) => given.includes(a) && given.includes(b));
  if (names === undefined) {
    const [own] = given;
    const missing = pairsOfNames.flatMap(([a, b]) => (a === own ? [b] : b === own ? [a] : []));
    throw new ApiError(
      400,
      "missing_required_parameter",
      own === undefined
        ? "Missing required parameter: send 'text_1' and 'text_2', or 'queries' and 'documents'."
        : `Missing required parameter: '${missing[0]}' goes with '${own}'. Send both sides.`,
      missing[0] ?? "text_1",
    );
  }
  const other = given.findLast((name) => name !== names[0] && name !== names[1]);
  if (other !== undefined) {
    const message = `'${names[1]}' and '${other}' exclude each other; send one pair of texts.`;
    throw invalidValue(message, other);
  }
  const [left, right] = names.map((name) => textsOf(body[name] as Texts, name));
  const [a, b] = [left!.length, right!.length];
  if (a === 0 || b === 0) {
    const empty = a === 0 ? names[0] : names[1];
    throw invalidValue(`'${empty}' is empty; send at least one text.`, empty);
  }
  if (a !== 1 && a !== b) {
    throw invalidValue(
      `'${names[0]}' has ${a} texts and '${names[1]}' has ${b}; send one for all (1:N), or as many ` +
        "on both sides (N:N).",
      names[0],
    );
  }
  if (a + b > requestLimits.embedding_inputs) {
    const message = `${a + b} texts are more than ${requestLimits.embedding_inputs}; send fewer at once.`;
    throw invalidValue(message, names[1]);
  }
  return [left!, right!];
}

function textsOf(value: Texts, name: string): readonly NamedText[] {
  if (!Array.isArray(value)) return [{ text: textOf(value as TextItem), param: name }];
  return value.map((item: TextItem, i) => ({ text: textOf(item), param: `${name}[${i}]` }));
}
