/**
 * What undisturbed answers look like: each request is answered once by a cluster to which nothing
 * is done, and kept. The simulated engine's text is a function of the seed alone, so there a few
 * answers stand for all prompts.
 */
import type { AnswerPath } from "../../support/answer-events.ts";
import { type Cluster, startCluster } from "../../support/cluster.ts";

export type EngineName = "mocker" | "llama";

export type AnswerWish = {
  readonly prompt: string;
  readonly seed: number;
  readonly tokens: number;
  readonly choices: number;
  /** Default: chat. The simulated engine's text is the same by all of them. */
  readonly api?: "responses" | "messages" | undefined;
  /** A list in JSON, of which `tokens` are the most; else there are just as many. */
  readonly json?: boolean | undefined;
};

export class References {
  readonly #texts = new Map<string, Promise<readonly string[]>>();
  readonly #engine: EngineName;
  #cluster: Promise<Cluster> | undefined;

  constructor(engine: EngineName) {
    this.#engine = engine;
  }

  /** Text of each choice. */
  textsOf(wish: AnswerWish): Promise<readonly string[]> {
    const prompt = this.#engine === "mocker" ? "" : wish.prompt;
    const key = `${wish.seed} ${wish.tokens} ${wish.choices} ${wish.json === true} ${prompt}`;
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const made = this.#ask(wish);
    this.#texts.set(key, made);
    return made;
  }

  async close(): Promise<void> {
    await (await this.#cluster)?.[Symbol.asyncDispose]();
  }

  async #ask(wish: AnswerWish): Promise<readonly string[]> {
    this.#cluster ??= startCluster(engineArgs(this.#engine, 0));
    const { url } = await this.#cluster;
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(bodyOf(wish)),
    });
    if (!response.ok) throw new Error(`a reference answer failed: ${await response.text()}`);
    const answer = (await response.json()) as {
      choices: { index: number; message: { content: string } }[];
    };
    const texts: string[] = [];
    for (const { index, message } of answer.choices) texts[index] = message.content;
    return texts;
  }
}

export const modelName = "troupe-tiny";

/** @param speedup of the simulated engine's times; 0: no delay */
export const engineArgs = (engine: EngineName, speedup: number): string[] =>
  engine === "llama"
    ? ["--engine", "llama", "--threads", "1"]
    : ["--engine", "mocker", "--speedup-ratio", String(speedup)];

const rowSchema = {
  type: "object",
  properties: { id: { type: "integer" }, name: { type: "string", maxLength: 16 } },
  required: ["id", "name"],
  additionalProperties: false,
};
/** So long that a worker dies in the middle of it. */
const listSchema = {
  type: "object",
  properties: { rows: { type: "array", items: rowSchema, minItems: 16, maxItems: 24 } },
  required: ["rows"],
  additionalProperties: false,
};

/** By chat. */
export function bodyOf({ prompt, seed, tokens, choices, json }: AnswerWish, model = modelName) {
  const schema = { name: "list", strict: true, schema: listSchema };
  return {
    model,
    messages: [{ role: "user", content: prompt }],
    seed,
    // Several equal choices are refused.
    temperature: choices > 1 ? 1 : 0,
    n: choices,
    max_tokens: tokens,
    ...(json === true
      ? { response_format: { type: "json_schema", json_schema: schema } }
      : { min_tokens: tokens, ignore_eos: true }),
  };
}

/** As a stream, by the wish's own API. */
export function streamOf(
  wish: AnswerWish,
  model = modelName,
): { readonly path?: AnswerPath; readonly body: Readonly<Record<string, unknown>> } {
  const { prompt, seed, tokens, api } = wish;
  const common = { model, seed, stream: true };
  switch (api) {
    case "responses":
      return {
        path: "/v1/responses",
        body: { ...common, input: prompt, max_output_tokens: tokens, ignore_eos: true },
      };
    case "messages": {
      const messages = [{ role: "user", content: prompt }];
      return { path: "/v1/messages", body: { ...common, messages, max_tokens: tokens } };
    }
    default:
      return {
        body: { ...bodyOf(wish, model), ...common, stream_options: { include_usage: true } },
      };
  }
}
