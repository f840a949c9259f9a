/**
 * A simulated engine: it takes the time and the memory a real one would, and answers with tokens
 * drawn from nothing. Each data-parallel rank has a scheduler and blocks of its own; a request
 * that names no rank goes to the one with the least to do.
 *
 *   submit ─▶ rank 0: waiting, running, blocks ─┐
 *           ─▶ rank 1 …                         ├─▶ poll: tokens, finished
 *                                               └─▶ events: what the caches hold
 *
 * Long because all methods of an engine work on the same answers, ranks and events.
 */
import { blockSeed } from "../../../llm/blocks/block-hash.ts";
import type { KvDump } from "../../../llm/blocks/kv-event.ts";
import { TokenBlocks } from "../../../llm/blocks/token-blocks.ts";
import type { WirePassSums as PassSums, PoolKind } from "../../../proto/index.ts";
import type { Clock } from "../../../runtime/capabilities.ts";
import { SlotMap } from "../../../runtime/slot-map.ts";
import { beyondLimits } from "../beyond-limits.ts";
import { DRAWN_POOLS, DRAWN_SIZE, drawnEmbedding } from "../drawn-vectors.ts";
import type {
  DraftCounts,
  Engine,
  EngineCapabilities,
  EngineDescription,
  EngineEvent,
  EngineRefusal,
  EngineStats,
  FinishReason,
} from "../engine.ts";
import type { EngineKind } from "../engine-kind.ts";
import { ConstrainedRequests } from "../grammar/constrained-requests.ts";
import type { Masks } from "../grammar/grammars.ts";
import { KvEventLog } from "../kv-event-log.ts";
import { noAdapter } from "../no-adapter.ts";
import { Answer, type MockerRequest } from "./answer.ts";
import { ConstrainedDraws } from "./constrained-draws.ts";
import { type Drawable, drawnLogprob, drawnToken } from "./drawn-token.ts";
import { mockerFlags } from "./flags.ts";
import { ratesProblem } from "./guesses.ts";
import { MockerMoves } from "./moves.ts";
import { type MockerOptions, mockerOptions } from "./options.ts";
import { type MockerParts, readParts } from "./parts.ts";
import { addSums, noPasses } from "./pass-cost.ts";
import { MockerScheduler, type TokenOutcome } from "./scheduler.ts";
import { polynomialTiming } from "./timing.ts";

export type { MockerRequest };

const CAPABILITIES: Omit<EngineCapabilities, "constrains" | "exports_blocks"> = {
  generates: true,
  pools: DRAWN_POOLS,
  steps: true,
  adapters: true,
  salts: true,
  scores: true,
  replays_exactly: true,
};

const DEFAULT_DRAWABLE: Drawable = { vocab_size: 32_000 };

export class MockerEngine implements Engine {
  readonly options: MockerOptions;
  /** Events of the caches of all ranks. */
  readonly kv_events: KvEventLog;
  readonly prepare?: NonNullable<Engine["prepare"]>;
  /** Of one rank: a move does not say which of several. */
  readonly blocks?: MockerMoves;
  readonly #draws: ConstrainedDraws | undefined;
  readonly #constrained: ConstrainedRequests<MockerRequest, Masks> | undefined;
  readonly #drawable: Drawable;
  readonly #context_length: number;
  readonly #ranks: readonly MockerScheduler<Answer>[];
  readonly #answers = new SlotMap<number, Answer>();
  #events: EngineEvent[] = [];
  #read = 0; // events before this one were polled
  #listener: () => void = () => {};
  #closed = false;
  /** Names: all that an adapter is to this engine. */
  readonly #adapters = new Set<string>();

  /** Throws MockerOptionsError. */
  constructor(options: Partial<MockerOptions> = {}, parts: MockerParts = {}) {
    this.options = mockerOptions(options);
    this.#drawable = parts.drawable ?? DEFAULT_DRAWABLE;
    const { dp_size, num_gpu_blocks, block_size, max_model_len } = this.options;
    this.#context_length = max_model_len ?? num_gpu_blocks * block_size;
    this.kv_events = new KvEventLog();
    this.#ranks = Array.from({ length: dp_size }, (_, dp_rank) => {
      return new MockerScheduler<Answer>(this.options, {
        timing: parts.timing ?? polynomialTiming,
        log: this.kv_events,
        dp_rank,
        sink: {
          admitted: (answer, now_ms) => {
            if (answer.generated === 0) answer.admitted_ms = now_ms;
          },
          token: (answer, at_ms) => this.#token(answer, at_ms),
          finished: (answer) => {
            const { ending, stop_token } = answer;
            this.#finished(answer, ending ?? (stop_token === undefined ? "length" : "stop"));
          },
        },
      });
    });
    const [rank, ...others] = this.#ranks;
    if (rank !== undefined && others.length === 0) {
      this.blocks = new MockerMoves(this.options, {
        rank,
        memory: parts.memory,
        wake: () => this.#listener(),
        refusal: () => this.#closedRefusal(),
      });
    }
    const { grammar } = parts;
    if (grammar === undefined) return;
    const draws = new ConstrainedDraws(grammar, this.#drawable);
    this.#draws = draws;
    this.prepare = (text, done) => draws.prepare(text, done);
    this.#constrained = new ConstrainedRequests(grammar.grammars, {
      open: (text) => grammar.grammars.open(text, () => this.#listener()),
      close: (masks) => masks.close(),
      submit: (request, masks) => this.#submit(request, masks),
      ended: (event) => {
        this.#events.push(event);
        this.#listener();
      },
    });
  }

  describe(): EngineDescription {
    const { options } = this;
    const { block_size, num_gpu_blocks, dp_size, worker_type } = options;
    return {
      engine: "mocker",
      context_length: this.#context_length,
      block_size,
      total_blocks: num_gpu_blocks * dp_size,
      max_num_seqs: options.max_num_seqs,
      max_num_batched_tokens: options.max_num_batched_tokens,
      vocab_size: this.#drawable.vocab_size,
      embedding_size: DRAWN_SIZE,
      class_count: 0,
      capabilities: {
        ...CAPABILITIES,
        constrains: this.#draws !== undefined,
        exports_blocks: this.blocks !== undefined,
      },
      build: `mocker, ${worker_type}, ${dp_size} × ${num_gpu_blocks} blocks, no model`,
    };
  }

  submit(request: MockerRequest): EngineRefusal | undefined {
    const { constraint } = request;
    if (constraint === undefined) return this.#submit(request, undefined);
    if (this.#constrained === undefined) {
      return { code: "not_supported", message: "this engine knows no grammars" };
    }
    return this.#refusal(request) ?? this.#constrained.submit(request, constraint);
  }

  #submit(request: MockerRequest, masks: Masks | undefined): EngineRefusal | undefined {
    const refusal = this.#refusal(request);
    if (refusal) return refusal;
    for (const token of masks ? request.tokens.subarray(request.prompt_tokens) : []) {
      masks?.push(token);
    }
    const blocks = new TokenBlocks(this.options.block_size, blockSeed(request));
    blocks.append(request.tokens);
    const answer = new Answer(request, blocks, request.dp_rank ?? this.#idlestRank(), masks);
    this.#answers.set(request.handle, answer);
    this.#ranks[answer.rank]!.submit(answer);
    return undefined;
  }

  #refusal(request: MockerRequest): EngineRefusal | undefined {
    const { tokens, max_tokens, dp_rank, handle } = request;
    const { dp_size, max_num_batched_tokens, enable_chunked_prefill, max_queue } = this.options;
    const closed = this.#closedRefusal();
    if (closed !== undefined) return closed;
    const beyond = beyondLimits(request);
    if (beyond !== undefined) return beyond;
    const { adapter } = request;
    if (adapter !== undefined && !this.#adapters.has(adapter)) return noAdapter(adapter);
    if (tokens.length + max_tokens > this.#context_length) {
      return {
        code: "context_overflow",
        message:
          `${tokens.length} tokens and ${max_tokens} to make are more than ` +
          `the context of ${this.#context_length}: shorten the prompt or lower max_tokens`,
      };
    }
    if (!enable_chunked_prefill && tokens.length > max_num_batched_tokens) {
      const message =
        `without chunked prefill a prompt has at most ${max_num_batched_tokens} tokens ` +
        `(max_num_batched_tokens), not ${tokens.length}`;
      return { code: "context_overflow", message };
    }
    if (this.#answers.has(handle)) {
      return { code: "bad_request", message: `request ${handle} is live already` };
    }
    if (dp_rank !== undefined && !(dp_rank >= 0 && dp_rank < dp_size)) {
      return { code: "bad_request", message: `there are ranks 0..${dp_size - 1}, not ${dp_rank}` };
    }
    if (!allBelow(tokens, this.#drawable.vocab_size)) {
      const message = `tokens must be ids of 0..${this.#drawable.vocab_size - 1}`;
      return { code: "bad_request", message };
    }
    const room = dp_size * this.options.max_num_seqs + max_queue;
    if (this.#answers.size >= room) {
      const message = `${room} requests run or wait already: try again later`;
      return { code: "queue_full", message };
    }
    return undefined;
  }

  #closedRefusal(): EngineRefusal | undefined {
    return this.#closed ? { code: "closed", message: "the engine is closed" } : undefined;
  }

  #idlestRank(): number {
    if (this.#ranks.length === 1) return 0;
    let idlest = 0;
    for (const [rank, scheduler] of this.#ranks.entries()) {
      if (loadOf(scheduler) < loadOf(this.#ranks[idlest]!)) idlest = rank;
    }
    return idlest;
  }

  /** At once: what a real engine takes for it is not simulated. */
  embed(handle: number, tokens: Uint32Array, pool: PoolKind): EngineRefusal | undefined {
    const closed = this.#closedRefusal();
    if (closed !== undefined) return closed;
    const context_length = this.#context_length;
    const { vocab_size } = this.#drawable;
    const drawn = drawnEmbedding(handle, tokens, pool, { context_length, vocab_size });
    if ("code" in drawn) return drawn;
    this.#events.push(drawn);
    this.#listener();
    return undefined;
  }

  cancel(handle: number): void {
    if (this.#constrained?.cancel(handle)) return;
    const answer = this.#answers.get(handle);
    if (answer === undefined) return;
    this.#ranks[answer.rank]!.cancel(answer);
    this.#finished(answer, "cancelled");
    this.#listener();
  }

  step(now_ms: number): number | undefined {
    if (this.#closed) return undefined;
    const before = this.#events.length;
    let due_ms = Number.POSITIVE_INFINITY;
    for (const rank of this.#ranks) due_ms = Math.min(due_ms, rank.step(now_ms));
    if (this.blocks !== undefined) due_ms = Math.min(due_ms, this.blocks.step(now_ms));
    if (this.#events.length > before || this.blocks?.has_news) this.#listener();
    return due_ms === Number.POSITIVE_INFINITY ? undefined : Math.max(0, due_ms - now_ms);
  }

  /** Draws a token, or says that the answer ends, or that it cannot be drawn yet. */
  #token(answer: Answer, at_ms: number): TokenOutcome {
    const { request, stops, index, masks } = answer;
    if (request.scores_from !== undefined) {
      const scores = answer.takeScores(this.#drawable);
      if (scores !== undefined) this.#events.push(scores);
      if (request.max_tokens === 0) return "end";
    }
    let token: number;
    if (masks === undefined) {
      const held_back = index < request.min_tokens ? stops : undefined;
      token = drawnToken(this.#drawable, answer.draw, index, held_back);
      if (held_back === undefined && stops?.has(token)) {
        answer.stop_token = token;
        return "end";
      }
    } else {
      const drawn = this.#draws!.next(answer, masks);
      if (typeof drawn === "string") return drawn;
      token = drawn;
    }
    answer.token_blocks.push(token);
    const { handle, logprobs } = request;
    const event = { kind: "tokens" as const, handle, first_index: index, tokens: [token] };
    const { vocab_size } = this.#drawable;
    const scored =
      logprobs < 0 ? event : { ...event, logprobs: [drawnLogprob(token, logprobs, vocab_size)] };
    const first = answer.generated === 0 && !Number.isNaN(answer.admitted_ms);
    this.#events.push(first ? { ...scored, prefill_ms: at_ms - answer.admitted_ms } : scored);
    return "drawn";
  }

  #stopLogprob({ request, stop_token }: Answer) {
    if (request.logprobs < 0 || stop_token === undefined) return {};
    const { vocab_size } = this.#drawable;
    return { stop_logprob: drawnLogprob(stop_token, request.logprobs, vocab_size) };
  }

  #finished(answer: Answer, reason: FinishReason): void {
    const { request, stop_token, cached_tokens, guessed, accepted } = answer;
    this.#answers.delete(request.handle);
    if (answer.masks !== undefined) this.#constrained?.finished(request.handle);
    this.#events.push({
      kind: "finished",
      handle: request.handle,
      reason,
      ...(stop_token === undefined ? {} : { stop_token, ...this.#stopLogprob(answer) }),
      ...(reason === "error" ? { error: "what was delivered does not keep to the grammar" } : {}),
      prompt_tokens: request.prompt_tokens,
      // Tokens delivered before are not part of the prompt, though they may be cached too.
      cached_tokens: Math.max(0, Math.min(cached_tokens, request.prompt_tokens)),
      ...(guessed > 0 ? { drafts: { right: accepted, wrong: guessed - accepted } } : {}),
    });
  }

  poll(limit: number): readonly EngineEvent[] {
    if (this.blocks?.has_news) this.blocks.tell();
    if (this.#read === 0 && this.#events.length <= limit) {
      const events = this.#events;
      if (events.length > 0) this.#events = [];
      return events;
    }
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

  stateOfBlock(place: number): number {
    const { num_gpu_blocks } = this.options;
    const rank = this.#ranks[Math.floor(place / num_gpu_blocks)];
    return rank?.pool.stateOf(place % num_gpu_blocks) ?? 0;
  }

  stats(): EngineStats {
    const stats = {
      running: 0,
      waiting: this.#constrained?.waiting ?? 0,
      used_blocks: 0,
      cached_blocks: 0,
      total_blocks: this.options.num_gpu_blocks * this.options.dp_size,
      prompt_tokens_total: 0,
      cached_tokens_total: 0,
      generated_tokens_total: 0,
      steps_total: 0,
      step_ms_last: 0,
      waiting_prefill_tokens: 0,
    };
    for (const rank of this.#ranks) {
      stats.running += rank.running_count;
      stats.waiting += rank.waiting_count;
      stats.used_blocks += rank.pool.used;
      stats.cached_blocks += rank.pool.cached;
      stats.waiting_prefill_tokens += rank.uncomputedTokens();
      stats.prompt_tokens_total += rank.totals.prompt;
      stats.cached_tokens_total += rank.totals.cached;
      stats.generated_tokens_total += rank.totals.generated;
      stats.steps_total += rank.totals.passes;
      stats.step_ms_last = Math.max(stats.step_ms_last, rank.last_pass_ms);
    }
    return stats;
  }

  /** Sums over the passes of all ranks since the start, see MockerScheduler. */
  passSums(): PassSums {
    const sums = noPasses();
    for (const { pass_sums } of this.#ranks) addSums(sums, pass_sums);
    return sums;
  }

  draftCounts(): readonly DraftCounts[] {
    if (this.options.aic_nextn === 0) return [];
    const counts = { source: "mtp", drafts: 0, tokens: 0, accepted: 0 };
    for (const { guesses } of this.#ranks) {
      counts.drafts += guesses.drafts;
      counts.tokens += guesses.tokens;
      counts.accepted += guesses.accepted;
    }
    return [counts];
  }

  /** Everything the caches hold now: for routers that missed too many events. */
  kvDump(): KvDump {
    const { last_event_id } = this.kv_events;
    const blocks = this.#ranks.flatMap((rank, dp_rank) => [
      ...rank.pool.dump(last_event_id, dp_rank),
    ]);
    return { last_event_id, blocks };
  }

  /** Its answers have blocks of their own; nothing else is simulated, and the file is not read. */
  async loadAdapter(name: string): Promise<void> {
    this.#adapters.add(name);
  }

  /** Does not wait: nothing is freed. */
  async unloadAdapter(name: string): Promise<void> {
    this.#adapters.delete(name);
  }

  /** Forgets all cached prefixes; what runs keeps its blocks. */
  clearCache(): boolean {
    for (const rank of this.#ranks) rank.clearCache();
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const answer of this.#answers.values()) this.#ranks[answer.rank]!.cancel(answer);
    this.#answers.clear();
    this.blocks?.close();
    this.#events = [];
    this.#read = 0;
  }
}

export const mockerKind = {
  flags: mockerFlags,
  reads_weights: false,
  shares_process: true,
  contradiction: ratesProblem,
  opener: ({ profile, ...shape }, given) => {
    const { settings, clock } = given;
    const { max_num_seqs, context_length, block_size } = settings;
    const options: Partial<MockerOptions> = {
      ...shape,
      ...(max_num_seqs > 0 ? { max_num_seqs } : {}),
      ...(context_length > 0 ? { max_model_len: context_length } : {}),
      ...(block_size > 0 ? { block_size } : {}),
    };
    // A large vocabulary takes a tenth of a second to look through: once for all engines.
    let parts: Promise<MockerParts> | undefined;
    return async () => {
      parts ??= readParts(profile, given);
      return await openMocker(options, await parts, clock);
    };
  },
} as const satisfies EngineKind<typeof mockerFlags>;

/** An engine after its simulated start-up time. Rejects with MockerOptionsError. */
export async function openMocker(
  options: Partial<MockerOptions>,
  parts: MockerParts,
  clock: Clock,
): Promise<MockerEngine> {
  const engine = new MockerEngine(options, parts);
  const startup_ms = engine.options.startup_time * 1000;
  if (startup_ms > 0) {
    await new Promise<void>((resolve) => {
      clock.after(startup_ms, resolve);
    });
  }
  return engine;
}

function loadOf(rank: MockerScheduler<Answer>): number {
  return rank.uncomputedTokens() + rank.pool.used;
}

function allBelow(tokens: Uint32Array, limit: number): boolean {
  for (let i = 0; i < tokens.length; i++) if (tokens[i]! >= limit) return false;
  return true;
}
