/**
 * What undisturbed answers look like: each request is answered once by a cluster to which nothing
 * is done, and kept. The simulated engine's text is a function of the seed alone, so there a few
 * answers stand for all prompts.
 */
import { type Cluster, startCluster } from "../../support/cluster.ts";

export type EngineName = "mocker" | "llama";

export type AnswerWish = {
  readonly prompt: string;
  readonly seed: number;
  readonly tokens: number;
  readonly choices: number;
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
    const key = `${wish.seed} ${wish.tokens} ${wish.choices} ${prompt}`;
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

export function bodyOf({ prompt, seed, tokens, choices }: AnswerWish, model = modelName) {
  return {
    model,
    messages: [{ role: "user", content: prompt }],
    seed,
    // Several equal choices are refused.
    temperature: choices > 1 ? 1 : 0,
    n: choices,
    max_tokens: tokens,
    min_tokens: tokens,
    ignore_eos: true,
  };
}
