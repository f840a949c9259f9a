/**
 * The workers of one model that a KV-aware router may use now, and the requests that wait for
 * them. It decides; the router actor sends the messages.
 */

import type {
  Plan,
  PlanLeg,
  Route,
  RoutedRequest,
  RoutedSession,
  RouteEnded,
  WorkerLoad,
} from "../../proto/index.ts";
import type { Random } from "../../runtime/capabilities.ts";
import type { Metrics } from "../../runtime/observe/metrics.ts";
import { type Candidate, isPrefill, legOf, planFor, withReasons } from "./candidate.ts";
import type { CacheIndex } from "./index/cache-index.ts";
import { type KvDecision, LAST_PLACED, type Placed, refusalCodes } from "./kv-decision.ts";
import {
  limitsOf,
  type PrefetchHint,
  passesBetween,
  placeRequestOf,
  prefetchHint,
  reportedLoad,
} from "./kv-request.ts";
import { KvRouterMetrics } from "./kv-router-metrics.ts";
import { type PeerNews, prefillName, routedOf, sessionOf } from "./peers/peer-news.ts";
import { type Constraints, constraintsOf } from "./policy/constraints.ts";
import type { PassSums } from "./policy/cost/pass-rates.ts";
import type { Placement, Refusal } from "./policy/decisions.ts";
import { KvDispatcher } from "./policy/dispatcher.ts";
import { concerning, passes } from "./policy/filter.ts";
import { constraintFilters } from "./policy/filters.ts";
import type { KvPolicyOptions } from "./policy/kv-policies.ts";
import { type PrefillPlacement, PrefillPool } from "./policy/pairs/prefill-pool.ts";
import type { PlaceRequest } from "./policy/place-request.ts";
import { backlogTokens, newRoutedWorker, type RoutedWorker } from "./policy/worker-state.ts";
import { LOWEST_PRIORITY, type Traffic } from "./traffic.ts";

export type KvModelParts = {
  readonly model: string;
  /** Tokens a block. */
  readonly block_size: number;
  readonly policy: KvPolicyOptions;
  readonly index: CacheIndex;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly now_ms: () => number;
  readonly wall_ms: () => number;
};

type Member = {
  readonly candidate: Candidate;
  readonly routed: RoutedWorker;
};

export class KvModel {
  readonly block_size: number;
  readonly #parts: KvModelParts;
  /** Of the workers that answer. */
  readonly #dispatcher: KvDispatcher;
  readonly #prefills: PrefillPool;
  readonly #metrics: KvRouterMetrics;
  /** By worker name. */
  readonly #members = new Map<string, Member>();
  /** Last sums by key of the candidate, also while it is suspect. */
  readonly #sums = new Map<string, PassSums>();
  readonly #last: Placed[] = [];
  /** The last request offered, and how long that took. */
  #offered: PlaceRequest | undefined;
  #offer_ms = 0;

  constructor(parts: KvModelParts) {
    const { index, policy, random, wall_ms } = parts;
    this.#parts = parts;
    this.block_size = parts.block_size;
    const prefills = new PrefillPool({ policy, index, random });
    this.#prefills = prefills;
    this.#dispatcher = new KvDispatcher({ policy, index, random, wall_ms, prompts: prefills });
    const { queue } = this.#dispatcher;
    this.#metrics = new KvRouterMetrics(parts.metrics, parts.model, {
      requests: () => queue.size,
      tokens: () => queue.tokens,
    });
  }

  get model(): string {
    return this.#parts.model;
  }

  get worker_count(): number {
    return this.#members.size;
  }

  /** Other weights of the same policy, from the next decision on. */
  retune(policy: KvPolicyOptions): void {
    this.#dispatcher.retune(policy);
    this.#prefills.retune(policy);
  }

  traffic(): Traffic {
    const { book, queue } = this.#dispatcher;
    const isLowest = ({ request }: { readonly request: PlaceRequest }) =>
      request.strict_priority === LOWEST_PRIORITY;
    let lowest = 0;
    for (const entry of book.all()) if (isLowest(entry)) lowest += 1;
    for (const entry of queue.entries()) if (isLowest(entry)) lowest += 1;
    const waiting = queue.size;
    return { workers: this.#members.size, requests: book.size + waiting, lowest, waiting };
  }

  /** True: a present worker may take the request, now or when it has room. */
  couldTake(request: Constraints): boolean {
    const question = { request };
    const filters = concerning(constraintFilters, request);
    const needs_prefill = this.#parts.policy.enforce_disagg === true;
    for (const { candidate, routed } of this.#members.values()) {
      if (isPrefill(candidate) || !passes(filters, routed, question)) continue;
      if (!this.#mayAnswer(request, routed)) continue;
      if (!needs_prefill || this.#prefills.canServe(routed)) return true;
    }
    return false;
  }

  /** False: the worker that has to compute the prompt cannot hand it to this one. */
  #mayAnswer({ prefill_pin }: Constraints, routed: RoutedWorker): boolean {
    if (prefill_pin === undefined || prefill_pin === routed.worker) return true;
    return this.#prefills.canServe(routed, prefill_pin);
  }

  /** A request whose prompt one worker computes goes only where that one's blocks can go. */
  #within(request: PlaceRequest): PlaceRequest {
    if (request.prefill_pin === undefined) return request;
    const may = [...this.#members.values()]
      .filter(({ candidate, routed }) => !isPrefill(candidate) && this.#mayAnswer(request, routed))
      .map(({ routed }) => routed.worker);
    return { ...request, allow: may.filter((name) => request.allow?.includes(name) ?? true) };
  }

  /** `slot`: its number in the index. */
  workerUp(candidate: Candidate, slot: number): void {
    const { key, process, record, adapters } = candidate;
    this.workerGone(record.worker);
    const limits = limitsOf(candidate, this.block_size);
    const { worker, labels, taints } = record;
    const routed = newRoutedWorker({
      ...{ ...limits, key, process, worker, slot, labels, taints, adapters },
      sharer: candidate.sharer,
    });
    routed.avoid_until_ms = candidate.avoid_until_ms;
    this.#members.set(record.worker, { candidate, routed });
    const pool = isPrefill(candidate) ? this.#prefills : this.#dispatcher;
    pool.workerUp(routed, this.#parts.now_ms());
    this.#metrics.workerUp(routed);
  }

  /** A worker is gone or suspect: its requests are dropped here, as their owners ask again. */
  workerGone(worker: string): void {
    const member = this.#members.get(worker);
    if (member === undefined) return;
    this.#members.delete(worker);
    this.#sums.delete(member.candidate.key);
    const { key } = member.candidate;
    const now_ms = this.#parts.now_ms();
    this.#dispatcher.workerGone(key, now_ms);
    this.#prefills.workerGone(key, now_ms);
    this.#metrics.workerGone(worker);
  }

  /** The time until which the worker is avoided has changed. */
  avoid({ record, avoid_until_ms }: Candidate): void {
    const member = this.#members.get(record.worker);
    if (member === undefined) return;
    this.#dispatcherOf(member.candidate).avoid(member.candidate.key, avoid_until_ms);
  }

  loaded(load: WorkerLoad): void {
    const member = this.#members.get(load.worker);
    if (member === undefined) return;
    const { key, record } = member.candidate;
    const passes = passesBetween(this.#sums.get(key), load.passes);
    if (load.passes !== undefined) this.#sums.set(key, load.passes);
    const reported = reportedLoad(load, record.card?.block_size ?? 0, this.block_size);
    const dispatcher = this.#dispatcherOf(member.candidate);
    dispatcher.reported(key, reported, this.#parts.now_ms(), passes);
  }

  #dispatcherOf(candidate: Candidate): KvDispatcher {
    return isPrefill(candidate) ? this.#prefills.dispatcher : this.#dispatcher;
  }

  /** Takes the request in; undefined: `next` returns its decision later. */
  offer(route: Route, constraints: Constraints): KvDecision | undefined {
    const began_ms = this.#parts.now_ms();
    const request = this.#within(placeRequestOf(route, constraints, this.block_size));
    const hashed_ms = this.#parts.now_ms();
    this.#metrics.hashing_ms.observe(hashed_ms - began_ms);
    const refusal = this.#dispatcher.offer(request, hashed_ms);
    this.#offered = request;
    this.#offer_ms = this.#parts.now_ms() - began_ms;
    return refusal && this.#refused(refusal);
  }

  /** The next decision. Call it after every change, until it returns undefined. */
  next(): KvDecision | undefined {
    const now_ms = this.#parts.now_ms();
    const decision = this.#dispatcher.next(now_ms);
    if (decision === undefined) return undefined;
    if (decision.kind === "refused") return this.#refused(decision);
    const plan = this.#placed(decision);
    const offer_ms = this.#offered === decision.request ? this.#offer_ms : 0;
    this.#metrics.total_ms.observe(offer_ms + this.#parts.now_ms() - now_ms);
    return plan;
  }

  /** What the request offered last will read, and who would get it now; undefined: nothing. */
  prefetch(): PrefetchHint | undefined {
    const offered = this.#offered;
    const found = offered && this.#dispatcher.prefetch(offered, this.#parts.now_ms());
    const member = found && this.#members.get(found.worker.worker);
    return member && prefetchHint(found, member.candidate.record, this.block_size);
  }

  firstToken(request: string): void {
    const now_ms = this.#parts.now_ms();
    this.#dispatcher.firstToken(request, now_ms);
    this.#prefills.firstToken(request, now_ms);
  }

  /** A prompt is computed, or will not be, by its prefill worker, which is returned. */
  prefillEnded({ request, outcome }: Pick<RouteEnded, "request" | "outcome">) {
    const now_ms = this.#parts.now_ms();
    const pool = this.#prefills;
    const finished = outcome === "finished";
    const routed = finished ? pool.done(request, now_ms) : pool.ended(request, now_ms);
    return routed && this.#members.get(routed.worker)?.candidate;
  }

  /**
   * Another prefill worker for a request whose first one was lost. Undefined: the worker that
   * answers computes the rest by itself.
   */
  prefillAgain(
    route: Route,
  ): { readonly plan: Plan; readonly news: PeerNews["routed"] } | undefined {
    const { request } = route;
    const answers = this.#dispatcher.book.workerOf(request);
    if (answers === undefined || answers.key !== route.prefill_for) return undefined;
    const asked = placeRequestOf(route, constraintsOf(route), this.block_size);
    const now_ms = this.#parts.now_ms();
    const uncached_tokens = this.#dispatcher.uncachedAt(asked, answers, now_ms);
    const leg = this.#prefills.place(asked, answers, uncached_tokens, now_ms);
    if (leg === undefined) return undefined;
    const plan: Plan = { kind: "plan", request, legs: [this.#legOf(leg)] };
    return { plan, news: this.#newsOfPrefill(leg) };
  }

  /** Ends a request. Returns its worker. */
  ended({ request, output_tokens }: Pick<RouteEnded, "request" | "output_tokens">) {
    const routed = this.#dispatcher.book.workerOf(request);
    const tokens = output_tokens > 0 ? output_tokens : undefined;
    const now_ms = this.#parts.now_ms();
    this.#dispatcher.ended(request, now_ms, tokens);
    this.#prefills.ended(request, now_ms);
    if (routed === undefined) return undefined;
    this.#metrics.ended.add();
    return this.#members.get(routed.worker)?.candidate;
  }

  /** Removes a waiting request that was cancelled. */
  cancel(request: string): void {
    this.#dispatcher.cancel(request);
  }

  close(): void {
    for (const worker of [...this.#members.keys()]) this.workerGone(worker);
    this.#metrics.close();
  }

  sentElsewhere(request: PlaceRequest, key: string, uncached_tokens: number): void {
    const pool = this.#prefills.knows(key) ? this.#prefills.dispatcher : this.#dispatcher;
    pool.sentElsewhere(request, key, uncached_tokens, this.#parts.now_ms());
  }

  endedElsewhere(request: string): void {
    const now_ms = this.#parts.now_ms();
    this.#dispatcher.endedElsewhere(request, now_ms);
    this.#prefills.dispatcher.endedElsewhere(request, now_ms);
  }

  lostElsewhere(request: string): void {
    const now_ms = this.#parts.now_ms();
    this.#dispatcher.lostElsewhere(request, now_ms);
    this.#prefills.dispatcher.lostElsewhere(request, now_ms);
  }

  /** False: the session's worker is not known here, so nothing was learned. */
  sessionElsewhere({ session, worker: key, moves, bound_ms, idle_ms }: RoutedSession): boolean {
    const { affinity } = this.#dispatcher;
    if (affinity === undefined) return true;
    if (!this.#dispatcher.knows(key)) return false;
    const now_ms = this.#parts.now_ms();
    const until_ms = now_ms + affinity.options.ttl_ms - idle_ms;
    affinity.learn(session, { key, moves, bound_ms, until_ms }, now_ms);
    return true;
  }

  /** The live requests of this router, for a peer. */
  routed(): RoutedRequest[] {
    const { model } = this.#parts;
    const prompts = [...this.#prefills.dispatcher.book.own()];
    return [
      ...[...this.#dispatcher.book.own()].map((entry) => routedOf(model, entry)),
      ...prompts.map((entry) => routedOf(model, entry, prefillName(entry.request.request))),
    ];
  }

  sessions(): RoutedSession[] {
    const { affinity } = this.#dispatcher;
    if (affinity === undefined) return [];
    const last_ms = this.#parts.now_ms() + affinity.options.ttl_ms;
    return [...affinity.entries()].map(([session, binding]) =>
      sessionOf(this.#parts.model, session, binding, last_ms),
    );
  }

  /** News for the peers about a request that was just placed. */
  newsOf({ request, worker, uncached_tokens, bound }: Placement): Partial<PeerNews> {
    const [{ model }, { session }] = [this.#parts, request];
    const entry = { request, worker, uncached_tokens, prefilling: uncached_tokens > 0 };
    const leg = this.#prefills.placed(request.request);
    const routed = [routedOf(model, entry), ...(leg === undefined ? [] : this.#newsOfPrefill(leg))];
    if (bound === undefined || session === undefined) return { routed };
    return { routed, sessions: [sessionOf(model, session, bound, bound.until_ms)] };
  }

  #newsOfPrefill(leg: PrefillPlacement): RoutedRequest[] {
    const name = prefillName(leg.request.request);
    return [routedOf(this.#parts.model, { ...leg, prefilling: true }, name)];
  }

  /** True: the prompt of this request is at a prefill worker. */
  hasPrefill(request: string): boolean {
    return this.#prefills.placed(request) !== undefined;
  }

  #legOf({ worker, tokens }: PrefillPlacement): PlanLeg {
    const { candidate } = this.#members.get(worker.worker)!;
    return { ...legOf(candidate), tokens };
  }

  #placed(placement: Placement): KvDecision {
    const { request, worker, cached_blocks, waited_ms } = placement;
    const { candidate } = this.#members.get(worker.worker)!;
    const blocks = request.hashes.length >>> 1;
    this.#metrics.started.add();
    this.#metrics.waited(waited_ms);
    if (blocks > 0) this.#metrics.hit_rate.observe(cached_blocks / blocks);
    const placed = { request: request.request, worker: worker.worker };
    this.#last.push({ ...placed, blocks, cached_blocks, waited_ms });
    if (this.#last.length > LAST_PLACED) this.#last.shift();
    const leg = this.#prefills.placed(request.request);
    const plan = planFor(request.request, candidate, leg && this.#legOf(leg));
    return { kind: "plan", plan: withReasons(plan, [placement.choice, leg?.choice]), placement };
  }

  #refused(refusal: Refusal): KvDecision {
    this.#metrics.refused(refusal.code);
    return { ...refusal, code: refusalCodes[refusal.code] };
  }

  inspect() {
    const now_ms = this.#parts.now_ms();
    const workers = [...this.#members.values()].map(({ routed }) => ({
      worker: routed.worker,
      in_flight: routed.requests,
      active_blocks: routed.active_blocks,
      backlog_tokens: Math.round(backlogTokens(routed, now_ms)),
    }));
    const pool = this.#prefills;
    return {
      ...{ model: this.#parts.model, block_size: this.block_size },
      ...(pool.size === 0 ? {} : { prefill_workers: pool.size, hand_over_ms: pool.hand_over_ms }),
      objective: this.#dispatcher.objective,
      queued: this.#dispatcher.queue.size,
      workers,
      learned: this.#dispatcher.learned(),
      last: this.#last,
    };
  }
}
