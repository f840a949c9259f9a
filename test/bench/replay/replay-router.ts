/** The routers that a replay can run: the very code that routes live traffic. */
import { type Candidate, newCandidate } from "../../../actors/router/candidate.ts";
import { CacheIndex, tierNumbers } from "../../../actors/router/index/cache-index.ts";
import type { PassSums } from "../../../actors/router/policy/cost/pass-rates.ts";
import { KvDispatcher } from "../../../actors/router/policy/dispatcher.ts";
import type { KvPolicyOptions } from "../../../actors/router/policy/kv-policies.ts";
import {
  type LoadMode,
  newPolicyState,
  policies,
} from "../../../actors/router/policy/load-modes.ts";
import { PrefillPool } from "../../../actors/router/policy/pairs/prefill-pool.ts";
import type { Sharer } from "../../../actors/router/policy/pairs/sharing.ts";
import type { PlaceRequest } from "../../../actors/router/policy/place-request.ts";
import {
  newRoutedWorker,
  type ReportedLoad,
  type WorkerLimits,
} from "../../../actors/router/policy/worker-state.ts";
import { pairsOf } from "../../../llm/blocks/block-table.ts";
import type { KvEvent } from "../../../llm/blocks/kv-event.ts";
import type { Random } from "../../../runtime/capabilities.ts";
import { workerName, workerNumber } from "./plan/fleet.ts";

export type Decision =
  | {
      readonly kind: "placed";
      readonly request: string;
      readonly worker: number;
      /** Another worker computes that much of the prompt. */
      readonly prompt?: { readonly worker: number; readonly tokens: number };
    }
  | { readonly kind: "refused"; readonly request: string; readonly message: string };

export interface ReplayRouter {
  offer(request: PlaceRequest, now_ms: number): Decision | undefined;
  /** Ask until it says nothing. */
  next(now_ms: number): Decision | undefined;
  /** The worker that computes its prompt for another one has done so. */
  promptDone(request: string, now_ms: number): void;
  firstToken(request: string, now_ms: number): void;
  ended(request: string, now_ms: number, output_tokens: number): void;
  reported(worker: number, load: ReportedLoad, now_ms: number, sums: PassSums): void;
  /** News of a worker that is not up is ignored, here and in `reported`. */
  event(worker: number, event: KvEvent): void;
  /** @param computes_prompts for others, as the first workers do */
  workerUp(worker: number, computes_prompts: boolean, now_ms: number): void;
  /** It gets nothing new. Its requests go on, and their ends are told. */
  workerGone(worker: number, now_ms: number): void;
  /** For the report: what it has learned. */
  readonly learned: unknown;
}

/** All workers of a replay can share their blocks. */
const SHARER: Sharer = { keeper: undefined, kv_identity: "replay" };

type Known = {
  readonly name: string;
  readonly slot: number;
  readonly pool: KvDispatcher | PrefillPool;
};

export class KvReplayRouter implements ReplayRouter {
  readonly #index = new CacheIndex();
  readonly #dispatcher: KvDispatcher;
  readonly #limits: WorkerLimits;
  readonly #numbers = new Map<string, number>();
  readonly #known: (Known | undefined)[] = [];
  /** The first workers, if they compute prompts for the others. */
  readonly #prefills: PrefillPool;

  /** @param prefill how many workers, the first ones, compute prompts for the others */
  constructor(
    policy: KvPolicyOptions,
    workers: number,
    limits: WorkerLimits,
    random: Random,
    prefill = 0,
  ) {
    const index = this.#index;
    const prefills = new PrefillPool({ policy, index, random });
    this.#prefills = prefills;
    this.#limits = limits;
    this.#dispatcher = new KvDispatcher({ policy, index, random, prompts: prefills });
    for (let number = 0; number < workers; number++) this.workerUp(number, number < prefill, 0);
  }

  workerUp(worker: number, computes_prompts: boolean, now_ms: number): void {
    const slot = this.#index.addWorker("events");
    const name = workerName(worker);
    const pool = computes_prompts ? this.#prefills : this.#dispatcher;
    this.#known[worker] = { name, slot, pool };
    this.#numbers.set(name, worker);
    const identity = { ...this.#limits, key: name, worker: name, slot, sharer: SHARER };
    pool.workerUp(newRoutedWorker(identity), now_ms);
  }

  workerGone(worker: number, now_ms: number): void {
    const known = this.#known[worker];
    if (known === undefined) return;
    this.#known[worker] = undefined;
    this.#numbers.delete(known.name);
    known.pool.workerGone(known.name, now_ms);
    this.#index.removeWorker(known.slot);
  }

  offer(request: PlaceRequest, now_ms: number): Decision | undefined {
    const refusal = this.#dispatcher.offer(request, now_ms);
    return refusal && { kind: "refused", request: refusal.request, message: refusal.message };
  }

  next(now_ms: number): Decision | undefined {
    const decision = this.#dispatcher.next(now_ms);
    if (decision === undefined || decision.kind === "refused") return decision;
    const { request } = decision.request;
    const worker = this.#numbers.get(decision.worker.key)!;
    const leg = this.#prefills.placed(request);
    if (leg === undefined) return { kind: "placed", request, worker };
    const prompt = { worker: this.#numbers.get(leg.worker.key)!, tokens: leg.tokens };
    return { kind: "placed", request, worker, prompt };
  }

  promptDone(request: string, now_ms: number): void {
    this.#prefills.done(request, now_ms);
  }

  firstToken(request: string, now_ms: number): void {
    this.#dispatcher.firstToken(request, now_ms);
    this.#prefills.firstToken(request, now_ms);
  }

  ended(request: string, now_ms: number, output_tokens: number): void {
    this.#dispatcher.ended(request, now_ms, output_tokens);
    this.#prefills.ended(request, now_ms);
  }

  reported(worker: number, load: ReportedLoad, now_ms: number, sums: PassSums): void {
    const known = this.#known[worker];
    known?.pool.reported(known.name, load, now_ms, sums);
  }

  event(worker: number, event: KvEvent): void {
    const slot = this.#known[worker]?.slot;
    if (slot === undefined) return;
    const tier = tierNumbers[event.tier];
    if (event.kind === "cleared") {
      this.#index.cleared(slot, event.dp_rank, tier);
    } else if (event.kind === "stored") {
      this.#index.stored(slot, event.dp_rank, tier, pairsOf(event.sequence_hashes));
    } else {
      this.#index.removed(slot, event.dp_rank, tier, pairsOf(event.sequence_hashes));
    }
  }

  get learned(): unknown {
    return this.#dispatcher.learned();
  }
}

/** Round-robin, random, least-loaded, power-of-two: the policies of the live router. */
export class PlainReplayRouter implements ReplayRouter {
  /** In the order of their names. */
  #candidates: readonly Candidate[] = [];
  readonly #state = newPolicyState();
  readonly #offered: string[] = [];
  readonly #where = new Map<string, Candidate>();

  readonly #mode: LoadMode;
  readonly #random: Random;

  constructor(mode: LoadMode, workers: number, random: Random) {
    this.#mode = mode;
    this.#random = random;
    for (let number = 0; number < workers; number++) this.workerUp(number);
  }

  workerUp(worker: number): void {
    const candidate = newCandidate({
      worker: workerName(worker),
      role: "aggregated",
      ref: undefined,
      card: undefined,
      labels: [],
      taints: [],
    });
    // Numbers are never used again, so the newest has the last name.
    this.#candidates = [...this.#candidates, candidate];
  }

  workerGone(worker: number): void {
    const name = workerName(worker);
    this.#candidates = this.#candidates.filter((candidate) => candidate.worker !== name);
  }

  offer(request: PlaceRequest): undefined {
    this.#offered.push(request.request);
  }

  next(): Decision | undefined {
    if (this.#candidates.length === 0) return undefined;
    const request = this.#offered.shift();
    if (request === undefined) return undefined;
    const route = {
      kind: "route",
      request,
      model: "",
      prompt: new Uint8Array(),
      max_tokens: 0,
      exclude: [],
      continued: false,
      spare: false,
      pin: "",
    } as const;
    const choice = policies[this.#mode](
      this.#candidates,
      { ...route, exclude: [] },
      this.#random,
      this.#state,
    );
    if (choice.kind === "refused") return { kind: "refused", request, message: choice.message };
    const { candidate } = choice;
    candidate.in_flight++;
    this.#where.set(request, candidate);
    return { kind: "placed", request, worker: workerNumber(candidate.worker) };
  }

  ended(request: string): void {
    const candidate = this.#where.get(request);
    this.#where.delete(request);
    if (candidate !== undefined) candidate.in_flight--;
  }

  promptDone(): void {}
  firstToken(): void {}
  reported(): void {}
  event(): void {}
  readonly learned = undefined;
}
