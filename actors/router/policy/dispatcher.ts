/**
 * The KV-aware router without its actor: it is told of each event and decides which request goes to
 * which worker. It has no clock and no timers; a call that needs the time gets it as an argument.
 *
 *   offer ──▶ queue ──▶ next: placement, refusal or nothing yet ──▶ the caller sends the plan
 *                 ▲
 *     firstToken, ended, reported, workerUp, workerGone: call `next` until it says nothing
 *
 * The served router and the replay run the same code.
 *
 * Long because offering, waiting and placing look at the same queue, table and rows.
 */
import type { Random } from "../../../runtime/capabilities.ts";
import type { CacheIndex } from "../index/cache-index.ts";
import { SessionAffinity } from "./affinity.ts";
import { Learned } from "./cost/learned.ts";
import type { PassSums } from "./cost/pass-rates.ts";
import { type Prefetch, prefetchOf } from "./cost/prefetch.ts";
import { type Placement, type PromptPool, type Refusal, retryAfterMs } from "./decisions.ts";
import { concerning, passes } from "./filter.ts";
import {
  BUSY_MESSAGE,
  busyFilters,
  constraintFilters,
  type KvFilter,
  kvFilters,
  notFailing,
} from "./filters.ts";
import { type KvPolicy, type KvPolicyOptions, kvPolicy } from "./kv-policies.ts";
import { LoadBook } from "./load-book.ts";
import { type Look, PromptGate } from "./pairs/prompt-gate.ts";
import { cachedBlocks, type Place, uncachedTokens } from "./place.ts";
import { isParticular, type PlaceRequest } from "./place-request.ts";
import { PromptMatches } from "./prompt-matches.ts";
import { choiceOf } from "./reasons/reasons.ts";
import { newEntry, type QueueEntry, RouteQueue } from "./route-queue.ts";
import { type Selected, type Selection, select } from "./select.ts";
import { backlogTokens, type ReportedLoad, type RoutedWorker, report } from "./worker-state.ts";
import { WorkerTable } from "./worker-table.ts";

export type DispatcherOptions = {
  readonly policy: KvPolicyOptions;
  readonly index: CacheIndex;
  readonly random: Random;
  /** Wall time, which orders the bindings that two routers made of one session. */
  readonly wall_ms?: () => number;
  /** Others, which may compute prompts for these workers. */
  readonly prompts?: PromptPool;
};

/** Age after which the cached blocks of a waiting request are matched again. */
const LOOK_AGAIN_MS = 500;
const HELD_PER_WORKER = 2;
/** Each held request is looked at whenever one may go, and each look compares all workers. */
const HELD_MOST = 64;
/** Fewer workers than this are compared once more before one is chosen: it matters among few. */
const LOOK_ONCE_FROM = 64;

export class KvDispatcher {
  readonly queue: RouteQueue;
  readonly book = new LoadBook();
  readonly affinity: SessionAffinity | undefined;
  readonly #index: CacheIndex;
  readonly #random: Random;
  #policy: KvPolicy;
  #selection: Selection;
  readonly #busy: readonly KvFilter[];
  /** The selection's filters that no request may pass over. */
  readonly #hard_filters: readonly KvFilter[];
  readonly #known = new Map<string, RoutedWorker>();
  readonly #table: WorkerTable;
  readonly #learned = new Learned();
  readonly #rates = (worker: RoutedWorker) => this.#learned.ratesOf(worker);
  readonly #prompts: PromptMatches;
  /** The last look of this call of `next`: the request, and the worker chosen for it. */
  #looked: { readonly request: PlaceRequest; readonly selected: Selected } | undefined;
  /** True: a worker is below the threshold, so that a request that is not particular can go. */
  #room = false;
  readonly #wall_ms: () => number;
  readonly #prompt_pool: PromptPool | undefined;
  readonly #gate: PromptGate | undefined;

  constructor({ policy, index, random, wall_ms = () => 0, prompts }: DispatcherOptions) {
    this.#wall_ms = wall_ms;
    this.#prompt_pool = prompts;
    this.#gate = prompts && new PromptGate(prompts);
    this.#index = index;
    this.#random = random;
    this.#table = new WorkerTable(this.#rates, () => this.#learned.poolRates());
    this.#prompts = new PromptMatches(index, this.#table);
    this.#policy = this.#policyOf(policy);
    this.queue = new RouteQueue(this.#policy.queue);
    this.affinity = policy.affinity && new SessionAffinity(policy.affinity);
    const affinity = this.affinity;
    this.#busy = policy.busy ? busyFilters(policy.busy) : [];
    this.#hard_filters = [...kvFilters, ...(affinity ? [affinity.filter()] : []), ...this.#busy];
    this.#selection = this.#selectionOf(this.#policy);
  }

  #policyOf(options: KvPolicyOptions): KvPolicy {
    const learned = this.#learned;
    const inputs = {
      rates: this.#rates,
      promptLoad: () => learned.prompt_load,
      outputTokens: () => learned.output_tokens,
    };
    return kvPolicy(options, inputs, this.#table, this.book.active);
  }

  #selectionOf({ scorer, scan, factors, picker }: KvPolicy): Selection {
    const filters = [...this.#hard_filters, notFailing];
    const own = this.affinity ? [this.affinity.factor()] : [];
    return { filters, scorers: [scorer], scan, picker, factors: [...factors, ...own] };
  }

  /** Other weights of the same policy, from the next decision on; its queue stays as it is. */
  retune(options: KvPolicyOptions): void {
    this.#policy = this.#policyOf(options);
    this.#selection = this.#selectionOf(this.#policy);
  }

  workerUp(worker: RoutedWorker, now_ms: number): void {
    this.workerGone(worker.key, now_ms);
    this.#known.set(worker.key, worker);
    this.#workersAre();
  }

  workerGone(key: string, now_ms: number): void {
    const worker = this.#known.get(key);
    if (worker === undefined) return;
    this.#known.delete(key);
    this.#learned.forget(key);
    this.book.forget(worker, now_ms);
    this.affinity?.forget(worker);
    this.#workersAre();
  }

  #workersAre(): void {
    this.#table.set([...this.#known.values()]);
    this.#prompts.forget();
  }

  get #workers(): readonly RoutedWorker[] {
    return this.#table.workers;
  }

  /** The worker's engine failed lately: it is avoided until `until_ms`; 0: not any more. */
  avoid(key: string, until_ms: number): void {
    const worker = this.#known.get(key);
    if (worker === undefined) return;
    worker.avoid_until_ms = until_ms;
    this.#table.factsChanged();
  }

  knows(key: string): boolean {
    return this.#known.has(key);
  }

  /** `sums` are the differences since the worker's last report; leave them out when it has none. */
  reported(key: string, load: ReportedLoad, now_ms: number, sums?: PassSums): void {
    const worker = this.#known.get(key);
    if (worker === undefined) return;
    report(worker, load);
    if (sums !== undefined) this.#learned.observe(worker, sums, this.#workers.length, now_ms);
  }

  /** The objective of policy "adaptive". */
  get objective() {
    return this.#policy.objective;
  }

  /** The rates learned so far, for people. */
  learned() {
    const { prompt_load, output_tokens } = this.#learned;
    return { rates: this.#learned.poolRates(), prompt_load, output_tokens };
  }

  /** Returns a refusal; undefined: the request waits, at least until the next call of `next`. */
  offer(request: PlaceRequest, now_ms: number): Refusal | undefined {
    const busy = this.#allBusy(request, now_ms);
    if (busy !== undefined) return busy;
    const pushed = this.queue.push(request, this.#leastUncached(request, now_ms), now_ms);
    if (pushed.kind === "queued") return undefined;
    const { limit, class_name } = pushed;
    if (limit === "queue") {
      return this.#refusal(
        request,
        "queue_full",
        529,
        "As many requests wait for a worker as may. Try again later.",
        now_ms,
      );
    }
    const name = class_name === "" ? "default" : class_name;
    const message = `As many requests of class '${name}' wait as may. Try again later.`;
    return this.#refusal(request, "class_limit", 429, message, now_ms);
  }

  /** The next decision; undefined: no request in the queue can go now. */
  next(now_ms: number): Placement | Refusal | undefined {
    if (this.queue.size === 0) return undefined;
    this.#looked = undefined;
    this.#table.refresh();
    this.#room = this.#anyRoom(now_ms);
    // Most requests take any worker that has room: while none has, they need not be looked at.
    const any = this.#room || this.#workers.length === 0 || this.queue.particular > 0;
    if (!any && this.#table.facts().tainted === undefined) return undefined;
    this.#gate?.begin(this.queue, now_ms);
    const entry = this.queue.next(now_ms, (each) => {
      return this.#isReady(each, now_ms) && !this.#promptWaits(each, now_ms);
    });
    return entry === undefined ? undefined : this.#place(entry, now_ms);
  }

  /** A worker of this dispatcher has room. */
  anyRoom(now_ms: number): boolean {
    this.#table.refresh();
    return this.#anyRoom(now_ms);
  }

  /** True: the request would wait in the queue, which it came into at `since_ms`, if it is empty. */
  wouldWait(request: PlaceRequest, since_ms: number, now_ms: number): boolean {
    this.#looked = undefined;
    this.#room = this.anyRoom(now_ms);
    const entry = newEntry(request, this.#leastUncached(request, now_ms), since_ms);
    entry.looked_at_ms = now_ms;
    return !this.#isReady(entry, now_ms);
  }

  /** As `offer` and `next`, of a request that waits for nobody. */
  placeNow(request: PlaceRequest, now_ms: number): Placement | Refusal {
    const busy = this.#allBusy(request, now_ms);
    if (busy !== undefined) return busy;
    this.#table.refresh();
    return this.#place(newEntry(request, this.#leastUncached(request, now_ms), now_ms), now_ms);
  }

  /** Who would get the request now; undefined: nobody may. */
  look(request: PlaceRequest, now_ms: number): Look | undefined {
    this.#table.refresh();
    const place = this.#placeOf(request, now_ms);
    const known = this.#looked?.request === request ? this.#looked.selected : undefined;
    const selected = known ?? select(this.#selection, place, this.#random);
    if (selected.kind === "refused") return undefined;
    this.#looked = { request, selected };
    const uncached_tokens = uncachedTokens(place, selected.at);
    return { worker: this.#workers[selected.at]!, uncached_tokens };
  }

  #promptWaits(entry: QueueEntry, now_ms: number): boolean {
    const { request } = entry;
    if (request.continued === true || request.spare === true) return false;
    return this.#gate?.holds(entry, now_ms, () => this.look(request, now_ms)) === true;
  }

  /** Prompt tokens that a worker of this dispatcher does not have. */
  uncachedAt(request: PlaceRequest, { at }: RoutedWorker, now_ms: number): number {
    return uncachedTokens(this.#placeOf(request, now_ms), at);
  }

  cancel(request: string): void {
    this.queue.remove(request);
  }

  /** What may come nearer to a request that waits, at the worker that would get it now. */
  prefetch(request: PlaceRequest, now_ms: number): Prefetch | undefined {
    if (!this.queue.has(request.request)) return undefined;
    const place = this.#placeOf(request, now_ms);
    return prefetchOf(place, () => select(this.#selection, place, this.#random));
  }

  firstToken(request: string, now_ms: number): void {
    this.book.firstToken(request, now_ms);
  }

  /** `output_tokens`: how long the answer became, when it finished. */
  ended(request: string, now_ms: number, output_tokens?: number): void {
    this.queue.remove(request);
    this.book.end(request, now_ms);
    if (output_tokens !== undefined) this.#learned.answered(output_tokens);
  }

  /** Another router sent a request to the worker. An unknown worker is ignored. */
  sentElsewhere(request: PlaceRequest, key: string, uncached_tokens: number, now_ms: number): void {
    const worker = this.#known.get(key);
    if (worker === undefined) return;
    this.book.begin(request, worker, uncached_tokens, now_ms, true);
    const { hashes } = request;
    this.#index.routed(worker.slot, worker.rank, hashes, hashes.length >>> 1, now_ms);
  }

  /** Another router's request is over. */
  endedElsewhere(request: string, now_ms: number): void {
    this.book.end(request, now_ms);
  }

  /** The router that sent the request is gone; the worker may still have the request. */
  lostElsewhere(request: string, now_ms: number): void {
    this.book.lose(request, now_ms);
  }

  /** Estimated time until a worker has room, from its backlog and the learned rates. */
  retryAfterMs(now_ms: number): number {
    const rates = this.#learned.poolRates();
    if (rates === undefined || this.#workers.length === 0) return retryAfterMs(0);
    let tokens = 0;
    for (const entry of this.queue.entries()) tokens += entry.uncached_tokens;
    for (const worker of this.#workers) tokens += backlogTokens(worker, now_ms);
    return retryAfterMs((tokens * rates.token_ms) / this.#workers.length);
  }

  /**
   * With busy thresholds a request is refused, and does not wait, while all workers are above them.
   */
  #allBusy(request: PlaceRequest, now_ms: number): Refusal | undefined {
    const workers = this.#workers;
    const { cached_blocks } = this.#prompts;
    if (this.#busy.length === 0 || workers.length === 0) return undefined;
    const place = { request, workers, cached_blocks, queued: this.queue.size, now_ms };
    const filters = concerning(constraintFilters, request);
    let wanted = false;
    for (const worker of workers) {
      if (!passes(filters, worker, place)) continue;
      wanted = true;
      if (passes(this.#busy, worker, place)) return undefined;
    }
    if (!wanted) return undefined;
    const code = request.pin === undefined ? "overloaded" : "pinned_overloaded";
    return this.#refusal(request, code, 529, BUSY_MESSAGE, now_ms);
  }

  #place(entry: QueueEntry, now_ms: number): Placement | Refusal {
    const { request } = entry;
    const place = this.#placeOf(request, now_ms);
    const looked = this.#looked;
    const selected =
      looked?.request === request ? looked.selected : select(this.#selection, place, this.#random);
    if (selected.kind === "refused") {
      const { code, message } = selected;
      const absent = code === "no_worker" || code === "pinned_missing";
      return this.#refusal(request, code, absent ? 503 : 529, message, now_ms);
    }
    const worker = this.#workers[selected.at]!;
    const waited_ms = now_ms - entry.arrived_ms;
    const choice = choiceOf(this.#policy, this.#selection, place, selected.at, waited_ms);
    const all_tokens = uncachedTokens(place, selected.at);
    const wait = { since_ms: entry.arrived_ms, tokens_before: this.#gate?.before(entry) ?? 0 };
    const uncached_tokens =
      this.#prompt_pool?.hand(request, worker, all_tokens, now_ms, wait) ?? all_tokens;
    this.book.begin(request, worker, uncached_tokens, now_ms);
    const { session } = request;
    const bound =
      session === undefined
        ? undefined
        : this.affinity?.bind(session, worker, now_ms, this.#wall_ms());
    const blocks = request.hashes.length >>> 1;
    this.#index.routed(worker.slot, worker.rank, request.hashes, blocks, now_ms);
    const cached_blocks = cachedBlocks(place, selected.at);
    const facts = { cached_blocks, uncached_tokens, waited_ms, choice, bound };
    return { kind: "placed", request, worker, ...facts };
  }

  /** The place is valid until the next call: its rows are used again. */
  #placeOf(request: PlaceRequest, now_ms: number): Place {
    return this.#prompts.placeOf(request, this.queue.size, now_ms);
  }

  #leastUncached(request: PlaceRequest, now_ms: number): number {
    return this.#prompts.leastUncached(request, this.queue.size, now_ms);
  }

  /** True: a worker has room. One that failed lately counts only if all did. */
  #anyRoom(now_ms: number): boolean {
    const table = this.#table;
    const workers = this.#workers;
    const policy = this.#policy;
    const below = table.rows.anyBelow(policy.queue_threshold, workers.length);
    if (!below || table.facts().avoid_until_ms <= now_ms) return below;
    const sound = workers.filter(({ avoid_until_ms }) => avoid_until_ms <= now_ms);
    return sound.length === 0 || sound.some((worker) => this.#hasRoom(worker, now_ms));
  }

  #hasRoom(worker: RoutedWorker, now_ms: number): boolean {
    return backlogTokens(worker, now_ms) < this.#policy.queue_threshold * worker.batch_tokens;
  }

  /** A particular request waits for a worker that it may use; if there is none, it is refused. */
  #isReady(entry: QueueEntry, now_ms: number): boolean {
    if (now_ms - entry.looked_at_ms > LOOK_AGAIN_MS) {
      entry.uncached_tokens = this.#leastUncached(entry.request, now_ms);
      entry.looked_at_ms = now_ms;
    }
    const { request } = entry;
    const waits_for_none = request.continued === true || request.spare === true;
    if (waits_for_none && this.#workers.length > 0) return true;
    const workers = this.#workers;
    const { cached_blocks } = this.#prompts;
    const choosy = isParticular(request) || this.#table.facts().tainted !== undefined;
    if (!choosy || workers.length === 0) {
      return this.#room && this.#canStart(entry, now_ms);
    }
    const place = { request, workers, cached_blocks, queued: this.queue.size, now_ms };
    const filters = concerning(this.#hard_filters, request);
    let any = false;
    for (const worker of workers) {
      if (!passes(filters, worker, place)) continue;
      if (this.#hasRoom(worker, now_ms)) return this.#canStart(entry, now_ms);
      any = true;
    }
    return !any;
  }

  /**
   * Late binding: while the best worker is busy, the request stays in the router, where a shorter
   * one may pass it and another worker may become the best. With many waiting requests the
   * threshold has the same effect, and a look at each would cost too much. The best worker reports
   * after its next pass, so no timer is needed.
   */
  #canStart(entry: QueueEntry, now_ms: number): boolean {
    const workers = this.#workers;
    const policy = this.#policy;
    if (policy.hold_passes === Number.POSITIVE_INFINITY) return true;
    if (now_ms - entry.arrived_ms > policy.patience * this.#ownMs(entry)) return true;
    if (this.queue.size > Math.min(HELD_MOST, HELD_PER_WORKER * workers.length)) return true;
    const { request } = entry;
    const selected = select(this.#selection, this.#placeOf(request, now_ms), this.#random);
    if (workers.length >= LOOK_ONCE_FROM) this.#looked = { request, selected };
    if (selected.kind === "refused") return true;
    const best = workers[selected.at]!;
    return backlogTokens(best, now_ms) < policy.hold_passes * best.batch_tokens;
  }

  /**
   * The time to compute its uncached tokens, without a backlog, in ms; 0 before there are rates.
   */
  #ownMs({ uncached_tokens }: QueueEntry): number {
    const rates = this.#learned.poolRates();
    return rates === undefined ? 0 : rates.prefill_pass_ms + uncached_tokens * rates.token_ms;
  }

  #refusal(
    request: PlaceRequest,
    code: Refusal["code"],
    status: Refusal["status"],
    message: string,
    now_ms: number,
  ): Refusal {
    const retry_after_ms = this.retryAfterMs(now_ms);
    return { kind: "refused", request: request.request, code, status, retry_after_ms, message };
  }
}
