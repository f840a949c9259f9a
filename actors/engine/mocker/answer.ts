/** One answer of the simulated engine, in the making. */
import type { TokenBlocks } from "../../../llm/blocks/token-blocks.ts";
import type { EngineEvent, EngineRequest, TokenLogprob } from "../engine.ts";
import type { Masks } from "../grammar/grammars.ts";
import { type Draw, type Drawable, drawOf, promptScore } from "./drawn-token.ts";
import { Sequence } from "./sequence.ts";

/** A request to a simulated engine, with fields that other engines do not have. */
export type MockerRequest = EngineRequest & {
  readonly dp_rank?: number;
  /** Decode role: tokens whose KV a prefill worker computed and hands over. */
  readonly prefilled_tokens?: number;
};

export class Answer extends Sequence {
  readonly #draw: Draw;
  readonly stops: ReadonlySet<number> | undefined;
  /** The stop token that was drawn and ends it. */
  stop_token: number | undefined;
  /** Why it ends, where that is not its stop token or its length. */
  ending: "stop" | "error" | undefined;
  /** When its first pass began; NaN: not yet, or its first token is told. */
  admitted_ms = Number.NaN;
  /** The next score of the prompt that is to be told; from `prompt_tokens - 1` on: none. */
  #scores_from: number;

  constructor(
    readonly request: MockerRequest,
    readonly token_blocks: TokenBlocks,
    readonly rank: number,
    /** Of an answer that keeps to a grammar. */
    readonly masks: Masks | undefined,
  ) {
    const { tokens, prompt_tokens, max_tokens, prefilled_tokens, scores_from } = request;
    const scores = scores_from !== undefined && scores_from < prompt_tokens - 1;
    // A prompt that is only scored is computed to its end, as if one token followed.
    const drawn = scores ? Math.max(1, max_tokens) : max_tokens;
    super(token_blocks, tokens.length, drawn, prefilled_tokens, scores ? scores_from : undefined);
    this.#scores_from = scores ? scores_from : prompt_tokens;
    this.#draw = drawOf(request.sampling.seed, request.choice);
    this.stops = request.stop_tokens.length > 0 ? new Set(request.stop_tokens) : undefined;
  }

  override get draw(): Draw {
    return this.#draw;
  }

  /** Answer index of the next token, counted over all workers. */
  get index(): number {
    return this.length - this.request.prompt_tokens;
  }

  /** Tokens that it may have, counted over all workers. */
  get total(): number {
    const { tokens, prompt_tokens, max_tokens } = this.request;
    return tokens.length - prompt_tokens + max_tokens;
  }

  /** The scores of its prompt, once. */
  takeScores(drawable: Drawable): EngineEvent | undefined {
    const { handle, tokens, prompt_tokens, logprobs } = this.request;
    const first_index = this.#scores_from;
    if (first_index >= prompt_tokens - 1) return undefined;
    const scores: TokenLogprob[] = [];
    for (let i = first_index; i < prompt_tokens - 1; i++) {
      scores.push(promptScore(drawable, this.draw, i, tokens[i + 1]!, logprobs));
    }
    this.#scores_from = prompt_tokens;
    return { kind: "scores", handle, first_index, scores };
  }
}
