/**
 * What a simulated client asks for, and what it has to get: the simulated engine's tokens are a
 * pure function of seed, choice, index and form, so the whole answer is known beforehand.
 */
import { type Drawable, drawnToken, drawOf } from "../../../actors/engine/mocker/drawn-token.ts";
import { textTokens } from "../../../llm/tokens/text-tokens.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import type { Random } from "../../../runtime/capabilities.ts";
import { pickIndex } from "../../../runtime/simulation/random.ts";
import type { AnswerPath } from "../../support/answer-events.ts";
import { Forms, schemas } from "./forms.ts";

export type ClientRequest = {
  readonly name: string;
  readonly path: AnswerPath;
  readonly stream: boolean;
  readonly choices: number;
  readonly max_tokens: number;
  readonly seed: number;
  /** One stop string, or none. */
  readonly stop: string;
  readonly logprobs: boolean;
  readonly prompt: string;
  /** Which of `schemas` the answer keeps to. */
  readonly form?: number | undefined;
  /** Of a response: it is stored, or made whether or not anybody waits. */
  readonly kept?: "stored" | "background" | undefined;
  /** A stored stream is taken up by `starting_after`, not by `Last-Event-ID`. */
  readonly by_number?: boolean;
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
  const path = drawPath(random);
  const openai = path === "/v1/chat/completions" || path === "/v1/completions";
  const responses = path === "/v1/responses";
  const group = groups[pickIndex(random, groups.length)] ?? "";
  const form = path !== "/v1/messages" && one_in(4) ? pickIndex(random, schemas.length) : undefined;
  const draw = pickIndex(random, 3);
  const kept = responses ? ([undefined, "stored", "background"] as const)[draw] : undefined;
  return {
    name,
    path,
    stream: !one_in(4),
    choices: openai && one_in(4) ? 2 + pickIndex(random, 2) : 1,
    max_tokens: 1 + pickIndex(random, one_in(3) ? 200 : 40),
    seed: pickIndex(random, 1_000_000),
    stop: !responses && one_in(4) ? String.fromCharCode(97 + pickIndex(random, 26)) : "",
    logprobs: openai && one_in(5),
    prompt: group.repeat(1 + pickIndex(random, 8)) + name,
    form,
    kept,
    by_number: kept === "background" || (kept === "stored" && one_in(2)),
  };
}

function drawPath(random: Random): AnswerPath {
  const draw = random.unit();
  if (draw < 0.4) return "/v1/chat/completions";
  if (draw < 0.6) return "/v1/completions";
  return draw < 0.85 ? "/v1/responses" : "/v1/messages";
}

export function bodyOf(request: ClientRequest): string {
  return JSON.stringify(fieldsOf(request));
}

function fieldsOf(request: ClientRequest): object {
  const { path, stream, choices, max_tokens, seed, stop, logprobs, prompt, form, kept } = request;
  const common = { model: "toy", seed, stream };
  const messages = [{ role: "user", content: prompt }];
  const shown = { name: "answer", strict: true, schema: schemas[form ?? 0] };
  switch (path) {
    case "/v1/responses":
      return {
        ...common,
        input: prompt,
        max_output_tokens: max_tokens,
        store: kept !== undefined,
        background: kept === "background",
        ...(form === undefined ? {} : { text: { format: { type: "json_schema", ...shown } } }),
      };
    case "/v1/messages":
      return {
        ...common,
        messages,
        max_tokens,
        ...(stop === "" ? {} : { stop_sequences: [stop] }),
      };
    default: {
      const chat = path === "/v1/chat/completions";
      return {
        ...common,
        n: choices,
        max_tokens,
        ...(stop === "" ? {} : { stop: [stop] }),
        ...(logprobs ? (chat ? { logprobs: true, top_logprobs: 1 } : { logprobs: 1 }) : {}),
        ...(form === undefined
          ? {}
          : { response_format: { type: "json_schema", json_schema: shown } }),
        ...(stream ? { stream_options: { include_usage: true } } : {}),
        ...(chat ? { messages } : { prompt }),
      };
    }
  }
}

export class Oracle {
  readonly #drawable: Drawable;
  readonly #tokenizer: Tokenizer;
  readonly #forms: Forms;
  /** Of requests with a form. */
  readonly #prepared = new Map<ClientRequest, readonly ExpectedChoice[]>();

  constructor(tokenizer: Tokenizer, forms: Forms) {
    this.#tokenizer = tokenizer;
    this.#drawable = { vocab_size: tokenizer.vocab_size, tokens: textTokens(tokenizer) };
    this.#forms = forms;
  }

  static async open(tokenizer: Tokenizer): Promise<Oracle> {
    return new Oracle(tokenizer, await Forms.open(tokenizer));
  }

  /** Before a request with a form is asked about. */
  async prepare(request: ClientRequest): Promise<void> {
    const { form, choices, seed, max_tokens } = request;
    if (form === undefined) return;
    const expected: ExpectedChoice[] = [];
    for (let choice = 0; choice < choices; choice++) {
      const draw = drawOf(BigInt(seed), choice);
      const { tokens, complete } = await this.#forms.answer(form, draw, max_tokens);
      expected.push(this.#expected(request, tokens, complete));
    }
    this.#prepared.set(request, expected);
  }

  choice(request: ClientRequest, choice: number): ExpectedChoice {
    const prepared = this.#prepared.get(request)?.[choice];
    if (prepared !== undefined) return prepared;
    const draw = drawOf(BigInt(request.seed), choice);
    const tokens = Array.from({ length: request.max_tokens }, (_, index) =>
      drawnToken(this.#drawable, draw, index, undefined),
    );
    return this.#expected(request, tokens, false);
  }

  #expected(request: ClientRequest, tokens: readonly number[], complete: boolean): ExpectedChoice {
    const pieces: string[] = [];
    let whole = "";
    for (const token of tokens) {
      const piece = new TextDecoder().decode(this.#tokenizer.tokenBytes(token));
      pieces.push(piece);
      whole += piece;
      const at = request.stop === "" ? -1 : whole.indexOf(request.stop);
      if (at >= 0) return { text: whole.slice(0, at), pieces, finish_reason: "stop" };
    }
    if (complete) JSON.parse(whole);
    return { text: whole, pieces, finish_reason: complete ? "stop" : "length" };
  }
}
