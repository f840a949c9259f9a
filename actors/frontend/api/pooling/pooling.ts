/** The dialect of POST /v1/pooling: what a model makes of inputs, as numbers. Shapes: vLLM's. */
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import type { Embedding, PoolKind } from "../../../../proto/index.ts";
import {
  base64Of,
  floatsJson,
  floatsOf,
  probabilities,
  shortened,
} from "../../embedding/vectors.ts";
import { headsOf, lacksHead } from "../../models/heads.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { checkDimensions, poolRequest, readInputs } from "../../prompt/pool-inputs.ts";
import { invalidValue } from "../api-error.ts";
import type { BodyFacts, EmbeddingDialect } from "../dialect.ts";
import { nvextNames } from "../nvext-fields.ts";
import { openAiErrorBody, quoted } from "../openai-format.ts";
import { usageOf } from "../pool-fields.ts";
import { type PoolingBody, poolingFields, poolingShape } from "./pooling-fields.ts";

export const pooling: EmbeddingDialect = {
  makes: "embedding",
  name: "pooling",
  path: "/v1/pooling",
  aliases: ["/pooling"],
  page: { summary: "What a model makes of inputs", schema: "PoolingRequest", streams: false },
  fields: poolingFields,
  nested: [nvextNames],
  prepare: (body, scope) => {
    const checked = scope.shaped(body, poolingShape);
    const context = scope.contextOf(checked.nvext);
    const model = scope.modelOf(checked.model);
    const task = taskOf(model, checked.task ?? undefined);
    const inputs = readInputs(model, checked.input);
    if (task === "token_embed") checkSize(model, inputs);
    const shown = shower(model, task, checked);
    return {
      model,
      request: poolRequest(model, context, poolOf[task], inputs),
      body: (items, facts) =>
        poolingJson(`pool-${context.request}`, model.name, items, shown, facts),
    };
  },
  errorBody: openAiErrorBody,
};

type Task = NonNullable<PoolingBody["task"]>;

/** What is shown in unit length is made so behind `dimensions`. */
const poolOf: Readonly<Record<Task, PoolKind>> = {
  embed: "raw",
  token_embed: "tokens",
  classify: "classes",
};

/** Throws ApiError (400) for what the model does not do. */
function taskOf(model: ServedModel, asked: Task | undefined): Task {
  const { classes, vectors, tokens } = headsOf(model.card);
  const task = asked ?? (classes > 0 ? "classify" : "token_embed");
  if (task === "classify" && classes === 0) throw lacksHead(model, "has no classification head");
  if (task === "embed" && !vectors) throw lacksHead(model, "makes no embeddings here");
  if (task === "token_embed" && !tokens) throw lacksHead(model, "makes no vectors of tokens here");
  return task;
}

function checkSize({ card }: ServedModel, inputs: readonly Uint32Array[]): void {
  const tokens = inputs.reduce((sum, input) => sum + input.length, 0);
  const most = Math.floor(requestLimits.token_values / card.embedding_size);
  if (tokens <= most) return;
  throw invalidValue(
    `'input' has ${tokens} tokens of ${card.embedding_size} values each; send at most ${most} ` +
      "tokens at once, or ask for 'task' \"embed\".",
    "input",
  );
}

/** The JSON of one item's numbers. Throws ApiError (400). */
function shower(model: ServedModel, task: Task, body: PoolingBody): (item: Embedding) => string {
  const activated = body.use_activation ?? true;
  const as = (values: Float32Array): string =>
    body.encoding_format === "base64" ? `"${base64Of(values)}"` : floatsJson(values);
  if (task === "classify") {
    if (body.dimensions != null) {
      throw invalidValue("'dimensions' is for vectors; leave it out.", "dimensions");
    }
    const are = headsOf(model.card).classes_are_probabilities;
    return ({ values }) => {
      const said = floatsOf(values);
      return as(activated && !are ? probabilities(said) : said);
    };
  }
  const dimensions = checkDimensions(model, body.dimensions);
  if (task === "embed") {
    return ({ values }) => as(shortened(floatsOf(values), dimensions, activated));
  }
  const size = model.card.embedding_size;
  return ({ values }) => {
    const all = floatsOf(values);
    const rows: Float32Array[] = [];
    for (let at = 0; at < all.length; at += size) {
      rows.push(shortened(all.subarray(at, at + size), dimensions, activated));
    }
    if (body.encoding_format !== "base64") return `[${rows.map(floatsJson).join(",")}]`;
    return as(Float32Array.from(rows.flatMap((row) => [...row])));
  };
}

/** Numbers that are written in one go, which takes some milliseconds. */
const SLICE = 32_768;

async function poolingJson(
  id: string,
  model: string,
  items: readonly Embedding[],
  shown: (item: Embedding) => string,
  { prompt_tokens, created_s, pause }: BodyFacts,
): Promise<string> {
  const data: string[] = [];
  let written = 0;
  for (const [index, item] of items.entries()) {
    data.push(`{"index":${index},"object":"pooling","data":${shown(item)}}`);
    written += item.values.length / 4;
    if (written < SLICE) continue;
    written = 0;
    await pause();
  }
  return (
    `{"id":${quoted(id)},"object":"list","created":${created_s},"model":${quoted(model)},` +
    `"data":[${data.join(",")}],"usage":${JSON.stringify(usageOf(prompt_tokens))}}`
  );
}
