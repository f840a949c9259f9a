/** The routers that a replay can run: the very code that routes live traffic. */
import { newCandidate } from "../../../actors/router/candidate.ts";
import { CacheIndex, tierNumbers } from "../../../actors/router/index/cache-index.ts";
import type { PassSums } from "../../../actors/router/policy/cost/pass-rates.ts";
import { KvDispatcher } from "../../../actors/router/policy/dispatcher.ts";
import type { KvPolicyOptions } from "../../../actors/router/policy/kv-policies.ts";
import {
  type LoadMode,
  newPolicyState,
  policies,
} from "../../../actors/router/policy/load-modes.ts";
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
  | { readonly kind: "placed"; readonly request: string; readonly worker: number }
  | { readonly kind: "refused"; readonly request: string; readonly message: string };

export interface ReplayRouter {
  offer(request: PlaceRequest, now_ms: number): Decision | undefined;
  /** Ask until it says nothing. */
  next(now_ms: number): Decision | undefined;
  firstToken(request: string, now_ms: number): void;
  ended(request: string, now_ms: number, output_tokens: number): void;
  reported(worker: number, load: ReportedLoad, now_ms: number, sums: PassSums): void;
  event(worker: number, event: KvEvent): void;
  /** For the report: what it has learned. */
  readonly learned: unknown;
}

const nameOf = (worker: number) => `worker-${String(worker).padStart(5, "0")}`;

export class KvReplayRouter implements ReplayRouter {
  readonly #index = new CacheIndex();
  readonly #dispatcher: KvDispatcher;
  readonly #numbers = new Map<string, number>();
  readonly #slots: number[] = [];

  constructor(policy: KvPolicyOptions, workers: number, limits: WorkerLimits, random: Random) {
    const index = this.#index;
    this.#dispatcher = new KvDispatcher({ policy, index, random });
    for (let number = 0; number < workers; number++) {
      const slot = index.addWorker("events");
      const name = nameOf(number);
      this.#slots.push(slot);
      this.#numbers.set(name, number);
      this.#dispatcher.workerUp(newRoutedWorker({ ...limits, key: name, worker: name, slot }), 0);
    }
  }

  offer(request: PlaceRequest, now_ms: number): Decision | undefined {
    const refusal = this.#dispatcher.offer(request, now_ms);
    return refusal && { kind: "refused", request: refusal.request, message: refusal.message };
  }

  next(now_ms: number): Decision | undefined {
    const decision = this.#dispatcher.next(now_ms);
    if (decision === undefined || decision.kind === "refused") return decision;
    const { request, worker } = decision;
    return { kind: "placed", request: request.request, worker: this.#numbers.get(worker.key)! };
  }

  firstToken(request: string, now_ms: number): void {
    this.#dispatcher.firstToken(request, now_ms);
  }

  ended(request: string, now_ms: number, output_tokens: number): void {
    this.#dispatcher.ended(request, now_ms, output_tokens);
  }

  reported(worker: number, load: ReportedLoad, now_ms: number, sums: PassSums): void {
    this.#dispatcher.reported(nameOf(worker), load, now_ms, sums);
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

  firstToken(): void {}
  reported(): void {}
  event(): void {}
  readonly learned = undefined;
}
