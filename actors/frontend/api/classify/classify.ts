/** The dialect of POST /v1/classify: which class a text is of. Shapes: vLLM's. */
import type { Embedding } from "../../../../proto/index.ts";
import { floatsOf, probabilities } from "../../embedding/vectors.ts";
import { headsOf, lacksHead } from "../../models/heads.ts";
import { poolRequest, readInputs } from "../../prompt/pool-inputs.ts";
import type { EmbeddingDialect } from "../dialect.ts";
import { nvextNames } from "../nvext-fields.ts";
import { openAiErrorBody } from "../openai-format.ts";
import { usageOf } from "../pool-fields.ts";
import { classifyFields, classifyShape } from "./classify-fields.ts";

export const classify: EmbeddingDialect = {
  makes: "embedding",
  name: "classify",
  path: "/v1/classify",
  aliases: ["/classify"],
  page: { summary: "Which class a text is of", schema: "ClassifyRequest", streams: false },
  fields: classifyFields,
  nested: [nvextNames],
  prepare: (body, scope) => {
    const checked = scope.shaped(body, classifyShape);
    const context = scope.contextOf(checked.nvext);
    const model = scope.modelOf(checked.model);
    const { classes, labels, classes_are_probabilities: are } = headsOf(model.card);
    if (classes === 0) throw lacksHead(model, "has no classification head");
    const activated = (checked.use_activation ?? true) && !are;
    const classOf = ({ values }: Embedding, index: number) => {
      const said = floatsOf(values);
      const probs = [...(activated ? probabilities(said) : said)];
      const best = probs.indexOf(Math.max(...probs));
      const label = labels[best] ?? `LABEL_${best}`;
      return { index, label, probs, num_classes: probs.length };
    };
    return {
      model,
      request: poolRequest(model, context, "classes", readInputs(model, checked.input)),
      body: (items, { prompt_tokens, created_s }) =>
        JSON.stringify({
          id: `classify-${context.request}`,
          object: "list",
          created: created_s,
          model: model.name,
          data: items.map(classOf),
          usage: usageOf(prompt_tokens),
        }),
    };
  },
  errorBody: openAiErrorBody,
};
