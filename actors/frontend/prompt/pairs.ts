/** A question and a document → the tokens of one input, as a model that judges pairs wants them. */
import { contextOverflow, invalidValue } from "../api/api-error.ts";
import { headsOf } from "../models/heads.ts";
import type { ServedModel } from "../models/served-model.ts";
import { checkText, encodeText } from "./prompt-text.ts";

export type NamedText = { readonly text: string; readonly param: string };

const special = { add_special: true, parse_special: false };

/**
 * By the model's own template; without one llama-server's form: the question, the separator where
 * the model has one, the document, each within its begin and end tokens. Control tokens that are
 * spelled in the texts are text. Throws ApiError (400).
 */
export function pairTokens(model: ServedModel, query: NamedText, document: NamedText): Uint32Array {
  const tokens =
    headsOf(model.card).rerank_template === ""
      ? joinedPair(model, query, document)
      : templatePair(model, query, document);
  const { context_length } = model.card;
  if (tokens.length > context_length) {
    throw contextOverflow(context_length, tokens.length, 0, document.param);
  }
  if (tokens.length > 0) return tokens;
  throw invalidValue(`'${document.param}' has no token together with '${query.param}'.`, "query");
}

function templatePair(model: ServedModel, query: NamedText, document: NamedText): Uint32Array {
  checkText(query.text, query.param);
  checkText(document.text, document.param);
  const { text, barrier } = model.renderPair(query.text, document.text);
  const mode = { add_special: true, parse_special: true, barrier };
  return encodeText(model, text, mode, document.param);
}

function joinedPair(model: ServedModel, query: NamedText, document: NamedText): Uint32Array {
  const { add_bos, special: ids } = model.tokenizer;
  const asked = encodeText(model, checkText(query.text, query.param), special, query.param);
  const found = encodeText(
    model,
    checkText(document.text, document.param),
    special,
    document.param,
  );
  const separates = headsOf(model.card).separates_pairs && ids.sep !== undefined;
  const rest = add_bos && ids.bos !== undefined ? found.subarray(1) : found;
  return Uint32Array.from([...asked, ...(separates ? [ids.sep!] : []), ...rest]);
}
