/** A model that the door may serve, made from the model's card. */

import {
  defaultsFromBlob,
  templateFromBlob,
  tokenFinder,
  tokenizerFromBlob,
} from "../../../llm/model/model-card.ts";
import type { GenerationDefaults } from "../../../llm/model/sampling-params.ts";
import { type Stand, standFor } from "../../../llm/template/built-in-templates.ts";
import {
  compileChatTemplate,
  type ChatMessage as TemplateMessage,
} from "../../../llm/template/chat-template.ts";
import { ControlMarks } from "../../../llm/template/control-marks.ts";
import { type Rendered, renderGuarded } from "../../../llm/template/guarded-render.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import type { ModelCard } from "../../../proto/index.ts";
import type { Clock } from "../../../runtime/capabilities.ts";
import type { ParserSettings } from "../flags.ts";
import { ConstraintCache } from "./constraint-cache.ts";
import { type ModelParsers, modelParsers, parserDefaults } from "./model-parsers.ts";

export type { GenerationDefaults, TemplateMessage };

export type TemplateVariables = Readonly<Record<string, string | number | boolean | null>>;

/** Throws ChatTemplateError when the template refuses the conversation. */
export type RenderChat = (messages: readonly TemplateMessage[], options: RenderOptions) => Rendered;

export type RenderOptions = {
  readonly add_generation_prompt: boolean;
  readonly variables: TemplateVariables;
  /** What may be called, in OpenAI's form. */
  readonly tools?: readonly object[] | undefined;
};

export type ServedModel = {
  readonly name: string;
  /** Set: `name` is that of a LoRA adapter, and the card is its model's. */
  readonly adapter?: string;
  /** Where the adapter came from, as it was given. */
  readonly source?: string;
  readonly card: ModelCard;
  readonly tokenizer: Tokenizer;
  readonly renderChat: RenderChat;
  /** One text of a question and a document, by the model's template for that; "" without one. */
  readonly renderPair: (query: string, document: string) => Rendered;
  /** The substitute for a missing template; undefined: the model has one. */
  readonly stand: Stand | undefined;
  readonly defaults: GenerationDefaults;
  readonly parsers: ModelParsers;
  readonly constraints: ConstraintCache;
  /** How the begin token and the end token are spelled; empty without one. */
  readonly bos_text: string;
  readonly eos_text: string;
  /** Source of its chat template, or of the substitute. */
  readonly chat_template: string;
};

export type ServedModelOptions = {
  readonly prefix_cache_bytes?: number;
  readonly parse_special_in_content?: boolean;
} & Partial<ParserSettings>;

/**
 * A model out of its card and the card's blobs. Throws VocabError or ChatTemplateError for blobs
 * that cannot be used, and Error when one is missing. `prefix_cache_bytes`: what the tokenizer may
 * keep of beginnings that come again; 0 = nothing. `parse_special_in_content`: control tokens that
 * a user spells are tokens, as they always are in text completions.
 */
export function buildServedModel(
  card: ModelCard,
  blobs: ReadonlyMap<string, Uint8Array>,
  clock: Clock,
  options: ServedModelOptions = {},
): ServedModel {
  const { prefix_cache_bytes, parse_special_in_content = false } = options;
  const blob = (hash: string): Uint8Array => {
    const bytes = blobs.get(hash);
    if (bytes === undefined) throw new Error(`blob ${hash} of model ${card.name} is missing`);
    return bytes;
  };
  const prefixes =
    prefix_cache_bytes === undefined ? undefined : { limit_bytes: prefix_cache_bytes };
  const tokenizer = tokenizerFromBlob(blob(card.tokenizer_blob), prefixes);
  const stand = card.template_blob === "" ? standFor(tokenFinder(tokenizer)) : undefined;
  const source = stand?.template.source ?? templateFromBlob(blob(card.template_blob));
  const template = compileChatTemplate(source);
  const marks = new ControlMarks(parse_special_in_content ? [] : tokenizer.control_texts);
  const { bos, eos } = tokenizer.special;
  const spelling = (token: number | undefined): string =>
    token === undefined ? "" : new TextDecoder().decode(tokenizer.tokenBytes(token));
  const bos_token = spelling(bos);
  const eos_token = spelling(eos);
  return {
    name: card.name,
    card,
    tokenizer,
    stand,
    defaults: card.defaults_blob === "" ? {} : defaultsFromBlob(blob(card.defaults_blob)),
    parsers: modelParsers(card.name, source, tokenizer, { ...parserDefaults, ...options }),
    constraints: new ConstraintCache(),
    bos_text: bos_token,
    eos_text: eos_token,
    chat_template: source,
    renderPair: (query, document) =>
      renderGuarded(marks, { query, document }, (pair) =>
        (card.heads?.rerank_template ?? "").replace(/\{(query|document)\}/g, (_, name) =>
          name === "query" ? pair.query : pair.document,
        ),
      ),
    renderChat: (turns, { add_generation_prompt, variables, tools }) => {
      const now_ms = clock.wall_ms();
      const tokens = { bos_token, eos_token };
      // Before texts are guarded: what is JSON within JSON spells control tokens in other ways.
      const messages = template.withCallArguments(turns);
      return renderGuarded(marks, { messages, variables, tools }, (input) =>
        template.render({ ...input, ...tokens, add_generation_prompt, now_ms }),
      );
    },
  };
}
