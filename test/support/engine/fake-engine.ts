/**
 * An engine that lives in the caller's time: every step makes one token for each running request.
 * What it answers is a pure function of the prompt and the choice, so a test knows it beforehand.
 */
import type {
  Engine,
  EngineDescription,
  EngineEvent,
  EngineRefusal,
  EngineRequest,
  EngineStats,
  TokenLogprob,
} from "../../../actors/engine/engine.ts";
import { END_TOKEN } from "../tokens/byte-tokenizer.ts";

export type FakeEngineOptions = {
  readonly step_ms?: number;
  readonly max_num_seqs?: number;
  readonly max_queue?: number;
  readonly context_length?: number;
  /** Called at the start of each step; a throw is what a broken engine does. */
  readonly onStep?: () => void;
  /** While it says so, steps do nothing. */
  readonly isStuck?: () => boolean;
};

const words = ["tree ", "été ", "漢字", "🌳🌿 ", "stream", ", ", "Ünï", "and so on. "];

/** The bytes an answer would have if it never ended, `count` of them. */
export function answerBytes(prompt: ArrayLike<number>, choice: number, count: number): Uint8Array {
  let state = 17 + 31 * choice;
  for (let i = 0; i < prompt.length; i++) state = (Math.imul(state, 31) + prompt[i]!) >>> 0;
  let text = "";
  while (text.length < count) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += words[(state >>> 16) % words.length]!;
  }
  return new TextEncoder().encode(text).slice(0, count);
}

/** After how many tokens the answer ends by itself. */
export function answerLength(prompt: ArrayLike<number>, choice: number): number {
  let sum = 3 + 5 * choice;
  for (let i = 0; i < prompt.length; i++) sum += prompt[i]!;
  return 1 + (sum % 40);
}

type Sequence = { readonly request: EngineRequest; next: number; made: number };

export class FakeEngine implements Engine {
  readonly #options: FakeEngineOptions;
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = [];
  readonly #cancelled = new Set<number>();
  #events: EngineEvent[] = [];
  #due_ms = 0;
  #steps = 0;
  #generated = 0;
  closed = false;

  constructor(options: FakeEngineOptions = {}) {
    this.#options = options;
  }

  /** Requests and embeddings that have not ended. */
  get live(): number {
    return this.#waiting.length + this.#running.length;
  }

  describe(): EngineDescription {
    return {
      engine: "fake",
      context_length: this.#options.context_length ?? 4_096,
      block_size: 16,
      total_blocks: 1_000,
      max_num_seqs: this.#options.max_num_seqs ?? 8,
      max_num_batched_tokens: 512,
      vocab_size: 257,
      embedding_size: 4,
      class_count: 0,
      capabilities: {
        generates: true,
        pools: ["vector"],
        steps: true,
        exports_blocks: false,
        constrains: false,
        adapters: false,
        salts: false,
        scores: false,
        replays_exactly: true,
      },
      build: "fake",
    };
  }

  submit(request: EngineRequest): EngineRefusal | undefined {
    const { context_length } = this.describe();
    if (request.tokens.length + request.max_tokens > context_length) {
      return { code: "context_overflow", message: `more than ${context_length} tokens` };
    }
    if (this.#waiting.length >= (this.#options.max_queue ?? 1_000)) {
      return { code: "queue_full", message: "the queue is full" };
    }
    const next = request.tokens.length - request.prompt_tokens;
    this.#waiting.push({ request, next, made: 0 });
    return undefined;
  }

  embed(handle: number, tokens: Uint32Array): EngineRefusal | undefined {
    const values = new Float32Array(4).fill(0.5);
    this.#events.push({ kind: "embedding", handle, values, prompt_tokens: tokens.length });
    return undefined;
  }

  cancel(handle: number): void {
    this.#cancelled.add(handle);
  }

  step(now_ms: number): number | undefined {
    this.#endCancelled();
    if (this.live === 0) return undefined;
    if (now_ms < this.#due_ms) return this.#due_ms - now_ms;
    if (this.#options.isStuck?.() === true) return this.#options.step_ms ?? 1;
    this.#options.onStep?.();
    this.#steps++;
    const most = this.describe().max_num_seqs;
    while (this.#running.length < most && this.#waiting.length > 0) {
      this.#running.push(this.#waiting.shift()!);
    }
    for (const sequence of [...this.#running]) this.#make(sequence);
    this.#due_ms = now_ms + (this.#options.step_ms ?? 1);
    return this.live === 0 ? undefined : this.#due_ms - now_ms;
  }

  poll(limit: number): readonly EngineEvent[] {
    return this.#events.splice(0, limit);
  }

  onWake(): void {}

  stats(): EngineStats {
    return {
      running: this.#running.length,
      waiting: this.#waiting.length,
      used_blocks: this.#running.length,
      cached_blocks: 0,
      total_blocks: 1_000,
      prompt_tokens_total: 0,
      cached_tokens_total: 0,
      generated_tokens_total: this.#generated,
      steps_total: this.#steps,
      step_ms_last: 1,
    };
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  #make(sequence: Sequence): void {
    const { request, next } = sequence;
    const prompt = request.tokens.subarray(0, request.prompt_tokens);
    if (!request.ignore_eos && next >= answerLength(prompt, request.choice)) {
      this.#end(sequence, "stop", END_TOKEN);
      return;
    }
    const token = answerBytes(prompt, request.choice, next + 1)[next]!;
    const { handle, logprobs } = request;
    const event = { kind: "tokens" as const, handle, first_index: next, tokens: [token] };
    this.#events.push(logprobs < 0 ? event : { ...event, logprobs: [logprobOf(token, logprobs)] });
    this.#generated++;
    sequence.next++;
    sequence.made++;
    if (sequence.made === request.max_tokens) this.#end(sequence, "length");
  }

  #endCancelled(): void {
    for (const list of [this.#waiting, this.#running]) {
      for (const sequence of [...list]) {
        if (this.#cancelled.has(sequence.request.handle)) this.#end(sequence, "cancelled");
      }
    }
    this.#cancelled.clear();
  }

  #end(sequence: Sequence, reason: "stop" | "length" | "cancelled", stop?: number): void {
    for (const list of [this.#waiting, this.#running]) {
      const at = list.indexOf(sequence);
      if (at >= 0) list.splice(at, 1);
    }
    const { handle, prompt_tokens } = sequence.request;
    const ended = { kind: "finished" as const, handle, reason, prompt_tokens, cached_tokens: 2 };
    this.#events.push(stop === undefined ? ended : { ...ended, stop_token: stop });
  }
}

function logprobOf(token: number, count: number): TokenLogprob {
  const top = Array.from({ length: count }, (_, rank) => [token + rank, -rank - 1] as const);
  return { logprob: -1, top };
}
