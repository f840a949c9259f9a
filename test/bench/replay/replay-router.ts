/** The routers that a replay can run: the very code that routes live traffic. */
import { newCandidate } from "../../../actors/router/candidate.ts";
import { CacheIndex, tierNumbers } from "../../../actors/router/index/cache-index.ts";
import type { PassSums } from "../../../actors/router/policy/cost/pass-rates.ts";
import type { HandOff } from "../../../actors/router/policy/decisions.ts";
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
  event(worker: number, event: KvEvent): void;
  /** For the report: what it has learned. */
  readonly learned: unknown;
}

/** All workers of a replay can share their blocks. */
const SHARER: Sharer = { keeper: undefined, kv_identity: "replay" };
const nameOf = (worker: number) => `worker-${String(worker).padStart(5, "0")}`;

export class KvReplayRouter implements ReplayRouter {
  readonly #index = new CacheIndex();
  readonly #dispatcher: KvDispatcher;
  readonly #numbers = new Map<string, number>();
  readonly #slots: number[] = [];
  /** The first workers, if they compute prompts for the others. */
  readonly #prefills: PrefillPool;
  readonly #prefill_count: number;

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
    this.#prefill_count = prefill;
    const handOff: HandOff = (request, worker, uncached_tokens, now_ms) => {
      const leg = prefills.place(request, worker, uncached_tokens, now_ms);
      return leg === undefined ? uncached_tokens : request.prompt_tokens - leg.tokens;
    };
    this.#dispatcher = new KvDispatcher({
      ...{ policy, index, random },
      ...(prefill > 0 ? { handOff } : {}),
    });
    for (let number = 0; number < workers; number++) {
      const slot = index.addWorker("events");
      const name = nameOf(number);
      this.#slots.push(slot);
      this.#numbers.set(name, number);
      const routed = newRoutedWorker({ ...limits, key: name, worker: name, slot, sharer: SHARER });
      this.#poolOf(number).workerUp(routed, 0);
    }
  }

  #poolOf(worker: number): KvDispatcher | PrefillPool {
    return worker < this.#prefill_count ? this.#prefills : this.#dispatcher;
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
    this.#poolOf(worker).reported(nameOf(worker), load, now_ms, sums);
  }

  event(worker: number, event: KvEvent): void {
    const slot = this.#slots[worker]!;
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
  readonly #candidates;
  readonly #state = newPolicyState();
  readonly #offered: string[] = [];
  readonly #where = new Map<string, number>();

  readonly #mode: LoadMode;
  readonly #random: Random;

  constructor(mode: LoadMode, workers: number, random: Random) {
    this.#mode = mode;
    this.#random = random;
    this.#candidates = Array.from({ length: workers }, (_, number) =>
      newCandidate({
        worker: nameOf(number),
        role: "aggregated",
        ref: undefined,
        card: undefined,
        labels: [],
        taints: [],
      }),
    );
  }

  offer(request: PlaceRequest): undefined {
    this.#offered.push(request.request);
  }

  next(): Decision | undefined {
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
    const worker = this.#candidates.indexOf(choice.candidate);
    choice.candidate.in_flight++;
    this.#where.set(request, worker);
    return { kind: "placed", request, worker };
  }

  ended(request: string): void {
    const worker = this.#where.get(request);
    this.#where.delete(request);
    if (worker !== undefined) this.#candidates[worker]!.in_flight--;
  }

  promptDone(): void {}
  firstToken(): void {}
  reported(): void {}
  event(): void {}
  readonly learned = undefined;
}
