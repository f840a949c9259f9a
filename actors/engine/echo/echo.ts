/**
 * An engine without a model: it answers with the tokens it was given.
 *
 * The answer of `total` tokens (delivered and still to make) is the last `total` tokens of the
 * prompt; it stops at the prompt's end, or starts over there when `ignore_eos` or `min_tokens` ask
 * for more. So a token depends on prompt, total and index alone, and a continued answer goes on as
 * it would have gone. Stepped: one pass makes one token for every running sequence, at no cost.
 */

import type { PoolKind } from "../../../proto/index.ts";
import { beyondLimits } from "../beyond-limits.ts";
import { DRAWN_POOLS, DRAWN_SIZE, drawnEmbedding } from "../drawn-vectors.ts";
import type {
  Engine,
  EngineCapabilities,
  EngineDescription,
  EngineEvent,
  EngineRefusal,
  EngineRequest,
  EngineStats,
  FinishReason,
  TokenLogprob,
} from "../engine.ts";
import { contextOf, type EngineKind } from "../engine-kind.ts";

export type EchoOptions = {
  readonly context_length?: number;
  readonly vocab_size?: number;
  readonly max_num_seqs?: number;
  readonly max_queue?: number;
};

const CAPABILITIES: EngineCapabilities = {
  generates: true,
  pools: DRAWN_POOLS,
  steps: true,
  exports_blocks: false,
  constrains: false,
  adapters: false,
  salts: false,
  scores: false,
  replays_exactly: true,
};

type Sequence = {
  readonly request: EngineRequest;
  /** First prompt token of the answer. */
  readonly start: number;
  readonly stops: ReadonlySet<number>;
  index: number;
};

export class EchoEngine implements Engine {
  readonly #description: EngineDescription;
  readonly #max_queue: number;
  #running: Sequence[] = [];
  #waiting: Sequence[] = [];
  #events: EngineEvent[] = [];
  #read = 0; // events before this one were polled
  #listener: () => void = () => {};
  #closed = false;
  #prompt_tokens = 0;
  #generated_tokens = 0;
  #steps = 0;

  constructor(options: EchoOptions = {}) {
    const max_num_seqs = options.max_num_seqs ?? 64;
    this.#max_queue = options.max_queue ?? 256;
    this.#description = {
      engine: "echo",
      context_length: options.context_length ?? 8192,
      block_size: 64,
      total_blocks: 0,
      max_num_seqs,
      max_num_batched_tokens: max_num_seqs,
      vocab_size: options.vocab_size ?? 2 ** 31,
      embedding_size: DRAWN_SIZE,
      class_count: 0,
      capabilities: CAPABILITIES,
      build: "echo, no model",
    };
  }

  describe(): EngineDescription {
    return this.#description;
  }

  submit(request: EngineRequest): EngineRefusal | undefined {
    const refusal = this.#refusal(request);
    if (refusal) return refusal;
    const { tokens, prompt_tokens, max_tokens } = request;
    const delivered = tokens.length - prompt_tokens;
    const total = delivered + max_tokens;
    this.#waiting.push({
      request,
      start: Math.max(0, prompt_tokens - total),
      stops: new Set(request.stop_tokens),
      index: delivered,
    });
    return undefined;
  }

  #refusal(request: EngineRequest): EngineRefusal | undefined {
    const { tokens, max_tokens } = request;
    const { context_length, vocab_size, max_num_seqs } = this.#description;
    if (this.#closed) return { code: "closed", message: "the engine is closed" };
    const beyond = beyondLimits(request);
    if (beyond !== undefined) return beyond;
    if (request.scores_from !== undefined) {
      return { code: "not_supported", message: "echo has no model that could score a prompt" };
    }
    if (tokens.length + max_tokens > context_length) {
      return {
        code: "context_overflow",
        message:
          `${tokens.length} tokens and ${max_tokens} to make are more than ` +
          `the context of ${context_length}: shorten the prompt or lower max_tokens`,
      };
    }
    if (tokens.some((token) => token >= vocab_size)) {
      return { code: "bad_request", message: `tokens must be ids of 0..${vocab_size - 1}` };
    }
    if (this.#running.length + this.#waiting.length >= max_num_seqs + this.#max_queue) {
      const message = `the queue behind ${max_num_seqs} running sequences is full: try again later`;
      return { code: "queue_full", message };
    }
    return undefined;
  }

  embed(handle: number, tokens: Uint32Array, pool: PoolKind): EngineRefusal | undefined {
    if (this.#closed) return { code: "closed", message: "the engine is closed" };
    const { context_length, vocab_size } = this.#description;
    const drawn = drawnEmbedding(handle, tokens, pool, { context_length, vocab_size });
    if ("code" in drawn) return drawn;
    this.#events.push(drawn);
    this.#listener();
    return undefined;
  }

  cancel(handle: number): void {
    for (const list of [this.#running, this.#waiting]) {
      const at = list.findIndex((sequence) => sequence.request.handle === handle);
      if (at < 0) continue;
      const [sequence] = list.splice(at, 1);
      this.#finish(sequence!, "cancelled");
      this.#listener();
      return;
    }
  }

  /** Always due again at once while there is work. */
  step(_now_ms: number): number | undefined {
    if (this.#closed || this.#running.length + this.#waiting.length === 0) return undefined;
    while (this.#waiting.length > 0 && this.#running.length < this.#description.max_num_seqs) {
      const sequence = this.#waiting.shift()!;
      this.#prompt_tokens += sequence.request.prompt_tokens;
      this.#running.push(sequence);
    }
    this.#running = this.#running.filter((sequence) => this.#advance(sequence));
    this.#steps += 1;
    this.#listener();
    return this.#running.length + this.#waiting.length > 0 ? 0 : undefined;
  }

  /** One token for the sequence; false when it has ended. */
  #advance(sequence: Sequence): boolean {
    const { request, stops } = sequence;
    const end = request.tokens.length - request.prompt_tokens + request.max_tokens;
    if (sequence.index >= end) return this.#finish(sequence, "length");
    const free_to_stop = sequence.index >= request.min_tokens;
    const at_end = sequence.start + sequence.index >= request.prompt_tokens;
    if (at_end && free_to_stop && !request.ignore_eos) return this.#finish(sequence, "stop");
    const token = nextToken(sequence, free_to_stop);
    if (free_to_stop && stops.has(token)) return this.#finish(sequence, "stop", token);
    this.#events.push({
      kind: "tokens",
      handle: request.handle,
      first_index: sequence.index,
      tokens: [token],
      ...(request.logprobs >= 0
        ? { logprobs: [echoLogprob(token, request.logprobs, this.#description.vocab_size)] }
        : {}),
    });
    sequence.index += 1;
    this.#generated_tokens += 1;
    return sequence.index < end ? true : this.#finish(sequence, "length");
  }

  #finish({ request }: Sequence, reason: FinishReason, stop_token?: number): false {
    this.#events.push({
      kind: "finished",
      handle: request.handle,
      reason,
      ...(stop_token === undefined ? {} : { stop_token }),
      prompt_tokens: request.prompt_tokens,
      cached_tokens: 0,
    });
    return false;
  }

  poll(limit: number): readonly EngineEvent[] {
    const events = this.#events.slice(this.#read, this.#read + limit);
    this.#read += events.length;
    if (this.#read === this.#events.length) {
      this.#events = [];
      this.#read = 0;
    }
    return events;
  }

  onWake(listener: () => void): void {
    this.#listener = listener;
  }

  stats(): EngineStats {
    return {
      running: this.#running.length,
      waiting: this.#waiting.length,
      used_blocks: 0,
      cached_blocks: 0,
      total_blocks: 0,
      prompt_tokens_total: this.#prompt_tokens,
      cached_tokens_total: 0,
      generated_tokens_total: this.#generated_tokens,
      steps_total: this.#steps,
      step_ms_last: 0,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#running = [];
    this.#waiting = [];
    this.#events = [];
    this.#read = 0;
  }
}

export const echoKind = {
  flags: {},
  reads_weights: false,
  shares_process: true,
  contradiction: (_own, { block_size }) =>
    block_size > 0 ? "--block-size says nothing to the echo engine: leave it out" : undefined,
  opener: (_own, parts) => {
    const { max_num_seqs } = parts.settings;
    const options: EchoOptions = {
      context_length: contextOf(parts),
      vocab_size: parts.facts.vocab_size,
      ...(max_num_seqs > 0 ? { max_num_seqs } : {}),
    };
    return async () => new EchoEngine(options);
  },
} as const satisfies EngineKind;

/** The token at the sequence's index; while it may not stop, the next one that is no stop token. */
function nextToken({ request, start, stops, index }: Sequence, free_to_stop: boolean): number {
  const { tokens, prompt_tokens } = request;
  const length = prompt_tokens - start;
  for (let i = 0; i < length; i++) {
    const token = tokens[start + ((index + i) % length)]!;
    if (free_to_stop || !stops.has(token)) return token;
  }
  let token = 0; // every prompt token is a stop token
  while (stops.has(token)) token += 1;
  return token;
}

/** The chosen token has half the probability, each next id half of what is left. */
function echoLogprob(token: number, n: number, vocab_size: number): TokenLogprob {
  const top = Array.from({ length: n }, (_, i) => {
    return [(token + i) % vocab_size, (i + 1) * -Math.LN2] as const;
  });
  return { logprob: -Math.LN2, top };
}
