/** What the door knows of a model that it may serve; everything comes out of the model's card. */
import type { Tokenizer } from "../../llm/tokenizer.ts";
import type { ModelCard } from "../../proto/index.ts";

/** One turn, as chat templates read it. */
export type TemplateMessage = {
  readonly role: string;
  readonly content: string;
  readonly name?: string;
  readonly reasoning_content?: string;
};

export type TemplateVariables = Readonly<Record<string, string | number | boolean | null>>;

/** Throws an Error whose message is for the client when the template refuses the conversation. */
export type RenderChat = (
  messages: readonly TemplateMessage[],
  options: { readonly add_generation_prompt: boolean; readonly variables: TemplateVariables },
) => string;

/** What the model's makers want when the client says nothing. */
export type GenerationDefaults = {
  readonly temperature?: number;
  readonly top_k?: number;
  readonly top_p?: number;
  readonly min_p?: number;
  readonly typical_p?: number;
  readonly repetition_penalty?: number;
};

export type ServedModel = {
  readonly name: string;
  readonly card: ModelCard;
  readonly tokenizer: Tokenizer;
  /** Undefined when the model has no chat template: then only text completions. */
  readonly renderChat: RenderChat | undefined;
  readonly defaults: GenerationDefaults;
};
