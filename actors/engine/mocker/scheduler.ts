/**
 * The scheduler of one simulated rank, after vLLM's: every pass spends one budget of tokens, first
 * on the running sequences in their order, then on waiting ones as far as blocks are there.
 *
 *   submit ─▶ waiting ──admit──▶ running ──last token──▶ ended
 *                 ▲                │
 *                 └──── preempt ───┘  blocks go, drawn tokens stay and are computed again
 *
 * A pass is decided as a whole when it begins; its tokens exist when it ends. A drawn token is
 * computed, and given a block, in the pass after: the last token of an answer never is. Blocks
 * get their names when the pass that fills them begins, so sequences of one pass share prefixes.
 * Details follow Dynamo's mocker (lib/mocker, scheduler/vllm/core.rs).
 *
 * There is no clock in here: `step` is told the time. So one code runs in real time under a worker
 * and in virtual time in a replay.
 *
 * Long because each step of a pass changes the same two lists, one budget and one pool.
 */
import type { KvEventLog } from "../kv-event-log.ts";
import { BlockPool } from "./block-pool.ts";
import { CacheNews } from "./cache-news.ts";
import { acceptRates, isRight } from "./guesses.ts";
import { type MockerOptions, transferMs } from "./options.ts";
import { addPass, noPasses, passMs } from "./pass-cost.ts";
import type { Sequence } from "./sequence.ts";
import type { MockerTiming } from "./timing.ts";
import { Handovers } from "./transfers.ts";

/** "end": there is none, the sequence ends. "late": there is none yet; it sits out until there is. */
export type TokenOutcome = "drawn" | "end" | "late";

/** Told as it happens; `at_ms` is the end of the pass. May submit and cancel. */
export type SchedulerSink<S> = {
  /** The sequence left the queue for the first time; `cached_tokens` is set. */
  readonly admitted?: (sequence: S, now_ms: number) => void;
  /** A token is to be drawn. Leave out to only count tokens. */
  readonly token?: (sequence: S, at_ms: number) => TokenOutcome;
  readonly firstToken?: (sequence: S, at_ms: number) => void;
  /** The sequence has all its tokens, or `token` ended it; its blocks are released. */
  readonly finished: (sequence: S, at_ms: number) => void;
};

export type SchedulerParts<S> = {
  readonly timing: MockerTiming;
  readonly sink: SchedulerSink<S>;
  /** Where the cache's events go; none are made without it. */
  readonly log?: KvEventLog | undefined;
  readonly dp_rank?: number;
};

/** A worker that is late by less than this goes on as if it were not: timers are coarse. */
const CATCH_UP_MS = 20;
/** Then whoever steps gets a turn, however short the passes are. */
const PASSES_A_STEP = 16;
const NEVER = Number.POSITIVE_INFINITY;

export class MockerScheduler<S extends Sequence> {
  readonly pool: BlockPool;
  readonly news: CacheNews;
  readonly totals = { prompt: 0, cached: 0, generated: 0, passes: 0, preemptions: 0 };
  /** Passes of an answer with guesses, guesses, and those that were right. */
  readonly guesses = { drafts: 0, tokens: 0, accepted: 0 };
  /**
   * Sums over all passes so far: their differences say what a pass of this engine costs.
   * `decode_share` is blocks in use of all blocks, summed over the passes that drew tokens.
   */
  readonly pass_sums = noPasses();
  last_pass_ms = 0;
  readonly #waiting: S[] = [];
  #running: S[] = [];
  readonly #held = new Handovers<S>();
  /** When the pass under way ends; NEVER while there is none. */
  #pass_end_ms = NEVER;
  #ending = false;
  /** Running sequences whose tokens were late when they were last asked for. */
  #late = 0;
  #budget = 0;
  #prompt_tokens = 0;
  #preempted = false;

  readonly #options: MockerOptions;
  readonly #accept_rates: readonly number[];
  readonly #parts: SchedulerParts<S>;

  constructor(options: MockerOptions, parts: SchedulerParts<S>) {
    this.#options = options;
    this.#accept_rates = acceptRates(options);
    this.#parts = parts;
    this.pool = new BlockPool(options.num_gpu_blocks);
    this.news = new CacheNews(this.pool, parts.log, parts.dp_rank ?? 0);
  }

  get waiting_count(): number {
    return this.#waiting.length;
  }

  get running_count(): number {
    return this.#running.length + this.#held.count;
  }

  /** Tokens of waiting and running sequences that no pass has computed yet. */
  uncomputedTokens(): number {
    let tokens = 0;
    for (const { length, computed } of this.#waiting) tokens += length - computed;
    for (const { length, computed } of this.#running) tokens += length - computed;
    return tokens;
  }

  /** When the pass under way ends; Infinity while there is none. */
  get pass_end_ms(): number {
    return this.#pass_end_ms;
  }

  /** True: the pool is large enough for all blocks of this sequence at once. */
  fits({ prompt_length, max_tokens }: Sequence): boolean {
    return this.#blocksFor(prompt_length + max_tokens) <= this.#options.num_gpu_blocks;
  }

  /** The sequence must be new and `fits`. Step once more when `step` said that nothing is due. */
  submit(sequence: S): void {
    sequence.state = "waiting";
    this.#waiting.push(sequence);
  }

  /** Ends a sequence at once, in whatever state; nothing is told of it. */
  cancel(sequence: S): void {
    if (sequence.state === "ended" || sequence.state === "new") return;
    if (sequence.state === "waiting") drop(this.#waiting, sequence);
    if (sequence.state === "running" && !this.#ending) drop(this.#running, sequence);
    if (sequence.state === "held") this.#held.drop(sequence);
    sequence.state = "ended";
    this.#releaseBlocks(sequence);
  }

  /**
   * Ends the pass that is due and begins the next one. Returns the time in ms at which something is
   * due again, Infinity when nothing is.
   */
  step(now_ms: number): number {
    this.#releaseHeld(now_ms);
    if (this.#pass_end_ms === NEVER) {
      if (this.#late > 0) this.#drawAll(now_ms);
      this.#beginPass(now_ms);
    }
    let passes = 0;
    while (this.#pass_end_ms <= now_ms && passes < PASSES_A_STEP) {
      const end_ms = this.#pass_end_ms;
      this.#endPass();
      this.#releaseHeld(now_ms);
      passes++;
      // Without delays a pass is made when it is asked for, not before.
      if (this.#options.speedup_ratio === 0) return this.#dueWithoutDelay(now_ms);
      this.#beginPass(now_ms - end_ms < CATCH_UP_MS ? end_ms : now_ms);
    }
    return Math.min(this.#pass_end_ms, this.#held.nextMs());
  }

  #dueWithoutDelay(now_ms: number): number {
    const busy = this.#waiting.length + this.#running.length > this.#late;
    return busy ? now_ms : this.#held.nextMs();
  }

  /** Forgets the cached prefixes; running sequences keep their blocks. */
  clearCache(): void {
    this.pool.clear();
    for (const sequence of this.#running) sequence.registered = 0;
    this.#held.forgetNames();
    this.news.cleared();
  }

  #beginPass(now_ms: number): void {
    this.#budget = this.#options.max_num_batched_tokens;
    this.#prompt_tokens = 0;
    this.#preempted = false;
    this.#scheduleRunning();
    // A sequence that was just preempted would be admitted at once, and preempted again.
    if (!this.#preempted) this.#admitWaiting(now_ms);
    const duration_ms = this.#passDurationMs();
    if (duration_ms === undefined) return;
    this.#pass_end_ms = now_ms + duration_ms;
    this.last_pass_ms = duration_ms;
    this.totals.passes++;
  }

  #scheduleRunning(): void {
    const running = this.#running;
    for (let i = 0; i < running.length && this.#budget > 0; ) {
      const sequence = running[i]!;
      if (sequence.computed === sequence.length) {
        i++; // its token is late
        continue;
      }
      const tokens = this.#tokensNow(sequence.length - sequence.computed);
      if (tokens === 0) return;
      const before = running.length;
      const ahead = this.#guessesOf(sequence, tokens);
      const stays = this.#makeRoom(sequence, sequence.computed + tokens + ahead);
      if (stays) this.#compute(sequence, tokens, ahead);
      // In FIFO order the preempted sequences stood before this one.
      if (this.#options.preemption_mode === "fifo") i -= before - running.length;
      i++;
    }
  }

  /** How many of a sequence's missing tokens this pass may compute. */
  #tokensNow(missing: number): number {
    if (!this.#options.enable_chunked_prefill && missing > this.#budget) return 0;
    return Math.min(missing, this.#budget);
  }

  /** How many tokens behind its next one this pass may guess; a prompt's pass guesses none. */
  #guessesOf({ generated, max_tokens }: S, tokens: number): number {
    if (this.#accept_rates.length === 0 || tokens > 1 || generated === 0) return 0;
    const left = Math.min(max_tokens - generated, this.#budget) - 1;
    return Math.max(0, Math.min(this.#accept_rates.length, left));
  }

  /** Gets blocks for `tokens` tokens by preempting others; false when that met the sequence. */
  #makeRoom(sequence: S, tokens: number): boolean {
    const missing = this.#blocksFor(tokens) - sequence.blocks.length;
    if (missing <= 0) return true;
    while (!this.pool.allocate(missing, sequence.blocks)) {
      const running = this.#running;
      const victim = this.#options.preemption_mode === "lifo" ? running.at(-1)! : running[0]!;
      this.#preempt(victim);
      if (victim === sequence) return false;
    }
    this.news.evicted();
    return true;
  }

  /**
   * In FIFO order the victim may be scheduled in this pass already. Its tokens are taken back, but
   * a block that they would have filled keeps its name, as in Dynamo's.
   */
  #preempt(victim: S): void {
    if (victim.pass === this.totals.passes) {
      this.#budget += victim.pass_tokens;
      this.#prompt_tokens -= victim.pass_prompt_tokens;
      victim.pass = -1;
      victim.ahead = 0;
    }
    drop(this.#running, victim);
    this.#releaseBlocks(victim);
    victim.state = "waiting";
    victim.preemptions++;
    this.#waiting.unshift(victim);
    this.#preempted = true;
    this.totals.preemptions++;
  }

  #admitWaiting(now_ms: number): void {
    const { max_num_seqs, worker_type } = this.#options;
    while (this.#waiting.length > 0 && this.#budget > 0) {
      const arriving = worker_type === "prefill" ? 0 : this.#held.count;
      if (this.#running.length + arriving >= max_num_seqs) return;
      const sequence = this.#waiting[0]!;
      if (sequence.max_tokens === 0) {
        this.#waiting.shift();
        this.#countAdmitted(sequence, 0, now_ms);
        this.#end(sequence, now_ms);
      } else if (!this.#admit(sequence, now_ms)) {
        return;
      }
    }
  }

  /** Takes the head of the queue in, with what the cache has of it; false when it must wait. */
  #admit(sequence: S, now_ms: number): boolean {
    const { block_size } = this.#options;
    const cached = this.#matchPrefix(sequence);
    let shared = 0; // in use already, so they cost nothing
    for (let i = 0; i < cached.length; i++) if (this.pool.isInUse(cached[i]!)) shared++;
    const needed = this.#blocksFor(sequence.length) - shared;
    if (needed > this.pool.capacity - this.pool.used) return false;
    const handed_over = Math.min(sequence.prefilled_tokens, sequence.length - 1);
    const computed = Math.max(cached.length * block_size, handed_over);
    const tokens = this.#tokensNow(sequence.length - computed);
    if (tokens === 0) return false;

    this.#waiting.shift();
    for (const slot of cached) {
      this.pool.retain(slot);
      sequence.blocks.push(slot);
    }
    sequence.registered = cached.length;
    this.#countAdmitted(sequence, cached.length * block_size, now_ms);
    const travelling = computed - cached.length * block_size;
    sequence.computed = computed;
    this.#makeRoom(sequence, computed + tokens);
    if (travelling > 0 && this.#hold(sequence, now_ms, travelling)) return true;
    this.#run(sequence);
    this.#compute(sequence, tokens);
    return true;
  }

  #countAdmitted(sequence: S, cached_tokens: number, now_ms: number): void {
    if (sequence.cached_tokens >= 0) return;
    sequence.cached_tokens = cached_tokens;
    this.totals.prompt += sequence.prompt_length;
    this.totals.cached += cached_tokens;
    this.#parts.sink.admitted?.(sequence, now_ms);
  }

  /** The decode side waits for what it lacks of a prompt, when transfers are timed that way. */
  #hold(sequence: S, now_ms: number, tokens: number): boolean {
    if (this.#options.kv_transfer_timing_mode !== "destination_missing") return false;
    const delay_ms = transferMs(this.#options, tokens);
    if (delay_ms === 0) return false;
    this.#held.begin(sequence, now_ms + delay_ms);
    return true;
  }

  #run(sequence: S): void {
    sequence.state = "running";
    this.#running.push(sequence);
    this.#register(sequence);
  }

  #compute(sequence: S, tokens: number, ahead = 0): void {
    const { computed, prompt_length } = sequence;
    const after = computed + tokens;
    sequence.computed = after;
    sequence.pass = this.totals.passes;
    sequence.pass_tokens = tokens + ahead;
    sequence.ahead = ahead;
    const prompt_tokens = computed < prompt_length ? Math.min(after, prompt_length) - computed : 0;
    sequence.pass_prompt_tokens = prompt_tokens;
    this.#prompt_tokens += prompt_tokens;
    this.#budget -= tokens + ahead;
    if (Math.floor(after / this.#options.block_size) > sequence.registered)
      this.#register(sequence);
  }

  /** Names the blocks that are full once everything scheduled is computed. */
  #register(sequence: S): void {
    if (!this.#options.enable_prefix_caching) return;
    const full = Math.floor(sequence.computed / this.#options.block_size);
    if (full > sequence.registered) this.news.register(sequence, full);
  }

  /** Slots of the longest cached prefix; at least one token is left to compute. */
  #matchPrefix({ names, length, cacheable_tokens }: S): readonly number[] {
    if (!this.#options.enable_prefix_caching) return [];
    const most = Math.floor(Math.min(length - 1, cacheable_tokens) / this.#options.block_size);
    names.nameTo?.(most);
    const { sequence_words: words } = names;
    const slots: number[] = [];
    while (slots.length < most) {
      const at = 2 * slots.length;
      const slot = this.pool.find(words[at]!, words[at + 1]!);
      if (slot < 0) break;
      slots.push(slot);
    }
    return slots;
  }

  /** undefined: the pass has nothing to do. */
  #passDurationMs(): number | undefined {
    let sequences = 0;
    let context_tokens = 0;
    let scheduled = false;
    for (const sequence of this.#running) {
      if (sequence.pass !== this.totals.passes) continue;
      scheduled = true;
      if (sequence.computed < sequence.length) continue;
      sequences++;
      context_tokens += sequence.length;
    }
    if (!scheduled) return undefined;
    const { block_size } = this.#options;
    const duration_ms = passMs(this.#options, this.#parts.timing, this.#prompt_tokens, {
      sequences,
      context_tokens,
      used_kv_tokens: this.pool.used * block_size,
      total_kv_tokens: this.pool.capacity * block_size,
    });
    const share = this.pool.used / this.pool.capacity;
    addPass(this.pass_sums, this.#prompt_tokens, sequences, share, duration_ms);
    return duration_ms;
  }

  #endPass(): void {
    const at_ms = this.#pass_end_ms;
    this.#pass_end_ms = NEVER;
    this.#drawAll(at_ms);
  }

  /** The next token of each sequence that is computed. */
  #drawAll(at_ms: number): void {
    const running = this.#running;
    this.#ending = true;
    this.#late = 0;
    let kept = 0;
    for (let i = 0; i < running.length; i++) {
      const sequence = running[i]!;
      if (sequence.state === "running" && sequence.computed === sequence.length) {
        if (sequence.ahead === 0) this.#draw(sequence, at_ms);
        else this.#drawAhead(sequence, at_ms);
      }
      if (sequence.state === "running") running[kept++] = sequence;
    }
    running.length = kept;
    this.#ending = false;
  }

  /** Its next token, and as many behind it as guesses are right. */
  #drawAhead(sequence: S, at_ms: number): void {
    const { ahead } = sequence;
    sequence.ahead = 0;
    sequence.guessed += ahead;
    this.guesses.drafts++;
    this.guesses.tokens += ahead;
    this.#draw(sequence, at_ms);
    for (const rate of this.#accept_rates.slice(0, ahead)) {
      const { state, computed, length, draw } = sequence;
      const isNext = state === "running" && length === computed + 1;
      if (!isNext || !isRight(rate, draw, length - 1)) return;
      // What it was guessed to be has its keys and values, as after a pass of its own.
      sequence.computed = length;
      if (Math.floor(length / this.#options.block_size) > sequence.registered)
        this.#register(sequence);
      sequence.accepted++;
      this.guesses.accepted++;
      this.#draw(sequence, at_ms);
    }
  }

  #draw(sequence: S, at_ms: number): void {
    const { sink } = this.#parts;
    if (sink.token !== undefined) {
      const outcome = sink.token(sequence, at_ms);
      if (sequence.state !== "running") return;
      if (outcome === "end") this.#end(sequence, at_ms);
      if (outcome === "late") this.#late++;
      if (outcome !== "drawn") return;
    }
    sequence.length++;
    sequence.generated++;
    this.totals.generated++;
    if (sequence.generated === 1) sink.firstToken?.(sequence, at_ms);
    const most = this.#options.worker_type === "prefill" ? 1 : sequence.max_tokens;
    if (sequence.generated >= most && sequence.state === "running") this.#end(sequence, at_ms);
  }

  /** The blocks of a prefill worker stay until they are handed over. */
  #end(sequence: S, at_ms: number): void {
    const { worker_type, kv_transfer_timing_mode } = this.#options;
    if (worker_type === "prefill" && kv_transfer_timing_mode === "full_prompt") {
      const delay_ms = transferMs(this.#options, sequence.prompt_length);
      if (delay_ms > 0) {
        this.#held.begin(sequence, at_ms + delay_ms);
        return;
      }
    }
    this.#finish(sequence, at_ms);
  }

  #finish(sequence: S, at_ms: number): void {
    sequence.state = "ended";
    this.#releaseBlocks(sequence);
    this.#parts.sink.finished(sequence, at_ms);
  }

  /** Last block first: of one prefix, the end is evicted before the beginning. */
  #releaseBlocks(sequence: S): void {
    const { blocks } = sequence;
    for (let i = blocks.length - 1; i >= 0; i--) this.pool.release(blocks[i]!);
    blocks.length = 0;
    sequence.registered = 0;
    sequence.computed = 0;
  }

  #releaseHeld(now_ms: number): void {
    for (const { sequence, due_ms } of this.#held.take(now_ms)) {
      if (this.#options.worker_type === "prefill") this.#finish(sequence, due_ms);
      else this.#run(sequence);
    }
  }

  #blocksFor(tokens: number): number {
    return Math.ceil(tokens / this.#options.block_size);
  }
}

function drop<Item>(list: Item[], item: Item): void {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
}
