/**
 * What a simulated client asks for, and what it has to get: the simulated engine's tokens are a
 * pure function of seed, choice and index, so the whole answer is known beforehand.
 */
import { type Drawable, drawnToken, drawOf } from "../../../actors/engine/mocker/drawn-token.ts";
import { textTokens } from "../../../llm/tokens/text-tokens.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import type { Random } from "../../../runtime/capabilities.ts";
import { pickIndex } from "../../../runtime/simulation/random.ts";

export type ClientRequest = {
  readonly name: string;
  readonly path: "/v1/chat/completions" | "/v1/completions";
  readonly stream: boolean;
  readonly choices: number;
  readonly max_tokens: number;
  readonly seed: number;
  /** One stop string, or none. */
  readonly stop: string;
  readonly logprobs: boolean;
  readonly prompt: string;
};

export type ExpectedChoice = {
  readonly text: string;
  /** Of each token that counts, in order. */
  readonly pieces: readonly string[];
  readonly finish_reason: "stop" | "length";
};

const groups = ["the quick brown fox ", "hello hello hello ", "a b c d e f g h ", "ééé "];

export function drawRequest(random: Random, name: string): ClientRequest {
  const one_in = (count: number) => pickIndex(random, count) === 0;
  const chat = !one_in(3);
  const group = groups[pickIndex(random, groups.length)] ?? "";
  return {
    name,
    path: chat ? "/v1/chat/completions" : "/v1/completions",
    stream: !one_in(4),
    choices: one_in(4) ? 2 + pickIndex(random, 2) : 1,
    max_tokens: 1 + pickIndex(random, one_in(3) ? 200 : 40),
    seed: pickIndex(random, 1_000_000),
    stop: one_in(4) ? String.fromCharCode(97 + pickIndex(random, 26)) : "",
    logprobs: one_in(5),
    prompt: group.repeat(1 + pickIndex(random, 8)) + name,
  };
}

export function bodyOf(request: ClientRequest): string {
  const { path, stream, choices, max_tokens, seed, stop, logprobs, prompt } = request;
  const chat = path === "/v1/chat/completions";
  return JSON.stringify({
    model: "toy",
    n: choices,
    max_tokens,
    seed,
    stream,
    ...(stop === "" ? {} : { stop: [stop] }),
    ...(logprobs ? (chat ? { logprobs: true, top_logprobs: 1 } : { logprobs: 1 }) : {}),
    ...(stream ? { stream_options: { include_usage: true } } : {}),
    ...(chat ? { messages: [{ role: "user", content: prompt }] } : { prompt }),
  });
}

export class Oracle {
  readonly #drawable: Drawable;
  readonly #tokenizer: Tokenizer;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    this.#drawable = { vocab_size: tokenizer.vocab_size, tokens: textTokens(tokenizer) };
  }

  choice(request: ClientRequest, choice: number): ExpectedChoice {
    const draw = drawOf(BigInt(request.seed), choice);
    const pieces: string[] = [];
    let whole = "";
    for (let index = 0; index < request.max_tokens; index++) {
      const token = drawnToken(this.#drawable, draw, index, undefined);
      const piece = new TextDecoder().decode(this.#tokenizer.tokenBytes(token));
      pieces.push(piece);
      whole += piece;
      const at = request.stop === "" ? -1 : whole.indexOf(request.stop);
      if (at >= 0) return { text: whole.slice(0, at), pieces, finish_reason: "stop" };
    }
    return { text: whole, pieces, finish_reason: "length" };
  }
}
