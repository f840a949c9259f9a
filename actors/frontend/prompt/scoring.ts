/**
 * How well texts go together. A model with a classification head reads each pair at once; of any
 * other the vectors of both texts are compared (their cosine), as vLLM does.
 */
import type { Embedding, PoolKind } from "../../../proto/index.ts";
import { contextOverflow, invalidValue } from "../api/api-error.ts";
import { cosine, floatsOf, probabilities } from "../embedding/vectors.ts";
import { headsOf, lacksHead } from "../models/heads.ts";
import type { ServedModel } from "../models/served-model.ts";
import { type NamedText, pairTokens } from "./pairs.ts";
import { checkText, encodeText } from "./prompt-text.ts";

export type Scoring = {
  readonly pool: PoolKind;
  readonly inputs: readonly Uint32Array[];
  /** One number a document, in order. */
  scores(items: readonly Embedding[]): readonly number[];
};

/**
 * One question for all documents, or one for each. `activated`: what a head says is brought into
 * 0..1. Throws ApiError (400) for texts, and for a model that cannot compare.
 */
export function scoringOf(
  model: ServedModel,
  queries: readonly NamedText[],
  documents: readonly NamedText[],
  activated: boolean,
): Scoring {
  const { vectors, classes, classes_are_probabilities } = headsOf(model.card);
  const queryOf = (i: number) => queries[queries.length === 1 ? 0 : i]!;
  if (classes > 0) {
    // Of two probabilities, as Qwen3's rerankers give them, the first is «yes».
    const judges = classes === 1 || (classes === 2 && classes_are_probabilities);
    if (!judges) {
      throw lacksHead(
        model,
        `tells ${classes} classes apart and does not say how well texts match`,
      );
    }
    const judged = ({ values }: Embedding): number => {
      const said = floatsOf(values);
      return (activated && !classes_are_probabilities ? probabilities(said) : said)[0] ?? 0;
    };
    return {
      pool: "classes",
      inputs: documents.map((document, i) => pairTokens(model, queryOf(i), document)),
      scores: (items) => items.map(judged),
    };
  }
  if (!vectors) throw lacksHead(model, "neither makes embeddings nor judges pairs of texts");
  const texts = [...queries, ...documents];
  return {
    pool: "vector",
    inputs: texts.map((text) => textTokens(model, text)),
    scores: (items) => {
      const all = items.map(({ values }) => floatsOf(values));
      return documents.map((_, i) => {
        return cosine(all[queries.length === 1 ? 0 : i]!, all[queries.length + i]!);
      });
    },
  };
}

function textTokens(model: ServedModel, { text, param }: NamedText): Uint32Array {
  const mode = { add_special: true, parse_special: false };
  const tokens = encodeText(model, checkText(text, param), mode, param);
  if (tokens.length === 0) {
    throw invalidValue(`'${param}' is empty; send at least one character.`, param);
  }
  const { context_length } = model.card;
  if (tokens.length > context_length) {
    throw contextOverflow(context_length, tokens.length, 0, param);
  }
  return tokens;
}
