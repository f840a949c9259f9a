/** The dialect of POST /v1/rerank: documents by how well they answer a question. */
import { poolRequest } from "../../prompt/pool-inputs.ts";
import { scoringOf } from "../../prompt/scoring.ts";
import type { EmbeddingDialect } from "../dialect.ts";
import { nvextNames } from "../nvext-fields.ts";
import { openAiErrorBody } from "../openai-format.ts";
import { textOf } from "../pool-fields.ts";
import { rerankFields, rerankShape } from "./rerank-fields.ts";

export const rerank: EmbeddingDialect = {
  makes: "embedding",
  name: "rerank",
  path: "/v1/rerank",
  aliases: ["/rerank", "/v2/rerank"],
  page: {
    summary: "Documents by relevance to a question",
    schema: "RerankRequest",
    streams: false,
  },
  fields: rerankFields,
  nested: [nvextNames],
  prepare: (body, scope) => {
    const { top_n, return_documents, use_activation, ...checked } = scope.shaped(body, rerankShape);
    const context = scope.contextOf(checked.nvext);
    const model = scope.modelOf(checked.model);
    const query = { text: textOf(checked.query), param: "query" };
    const texts = checked.documents.map(textOf);
    const documents = texts.map((text, i) => ({ text, param: `documents[${i}]` }));
    const scoring = scoringOf(model, [query], documents, use_activation ?? true);
    return {
      model,
      request: poolRequest(model, context, scoring.pool, scoring.inputs),
      body: (items, { prompt_tokens }) => {
        const results = scoring
          .scores(items)
          .map((relevance_score, index) => ({
            index,
            ...(return_documents === false ? {} : { document: { text: texts[index] } }),
            relevance_score,
          }))
          .sort((a, b) => b.relevance_score - a.relevance_score || a.index - b.index)
          .slice(0, top_n || undefined);
        const usage = { prompt_tokens, total_tokens: prompt_tokens };
        return JSON.stringify({
          id: `rerank-${context.request}`,
          model: model.name,
          usage,
          results,
        });
      },
    };
  },
  errorBody: openAiErrorBody,
};
