/**
 * The prefill workers of a dispatcher: which of them computes a prompt whose answer another worker
 * makes. They have a dispatcher of their own, whose cost knows no decoding and in which nothing
 * waits: a request waits for them in the queue of the workers that answer. It has no clock: a call
 * that needs the time gets it as an argument.
 */
import type { RouteChoice } from "../../../../proto/index.ts";
import type { Random } from "../../../../runtime/capabilities.ts";
import type { CacheIndex } from "../../index/cache-index.ts";
import type { PassRates, PassSums } from "../cost/pass-rates.ts";
import type { PromptPool, PromptWait } from "../decisions.ts";
import { KvDispatcher } from "../dispatcher.ts";
import type { KvPolicyOptions } from "../kv-policies.ts";
import type { PlaceRequest } from "../place-request.ts";
import {
  backlogTokens,
  type ReportedLoad,
  type RoutedWorker,
  requestsThere,
} from "../worker-state.ts";
import {
  type AnswerSide,
  type ConditionalOptions,
  conditionalDefaults,
  handedTokens,
  isLocal,
  waitsTooLong,
} from "./conditional.ts";
import type { Look } from "./prompt-gate.ts";
import { canShare, sharersWith } from "./sharing.ts";

export type PrefillPoolOptions = {
  readonly policy: KvPolicyOptions;
  readonly index: CacheIndex;
  readonly random: Random;
};

/** A prompt at the worker that computes it. */
export type PrefillPlacement = {
  /** With the prompt as far as it is handed over. */
  readonly request: PlaceRequest;
  readonly worker: RoutedWorker;
  /** Of the prompt, those that are handed over. */
  readonly tokens: number;
  /** Of these, what the worker does not have. */
  readonly uncached_tokens: number;
  readonly choice: RouteChoice | undefined;
  /** When its worker said that it was done; undefined: it has not. */
  done_ms: number | undefined;
};

/** A prompt that is to be computed elsewhere. */
type Prompt = {
  /** As the prefill workers are asked for it. */
  readonly asked: PlaceRequest;
  readonly tokens: number;
  readonly side: AnswerSide;
  readonly answers: RoutedWorker;
  /** The client named its prefill worker. */
  readonly is_named: boolean;
  readonly pool_rates: PassRates | undefined;
};

const HAND_OVER_FIRST_MS = 10;
const HAND_OVER_MOST_MS = 1_000;
/**
 * Waiting at the worker that answers makes some longer, and must not keep prompts there, which
 * would make it wait more: so the estimate follows the short ones.
 */
const STEP_DOWN = 0.1;
const STEP_UP = 0.01;

export class PrefillPool implements PromptPool {
  readonly dispatcher: KvDispatcher;
  readonly #options: ConditionalOptions;
  readonly #workers = new Map<string, RoutedWorker>();
  readonly #placed = new Map<string, PrefillPlacement>();
  /** From the end of a prompt here to the first token elsewhere, without waiting there. */
  #hand_over_ms = HAND_OVER_FIRST_MS;

  constructor({ policy, index, random }: PrefillPoolOptions) {
    this.#options = { ...conditionalDefaults, ...policy.conditional };
    this.dispatcher = new KvDispatcher({ policy: prefillPolicy(policy), index, random });
  }

  /** As `KvDispatcher.retune`. */
  retune(policy: KvPolicyOptions): void {
    this.dispatcher.retune(prefillPolicy(policy));
  }

  get size(): number {
    return this.#workers.size;
  }

  get hand_over_ms(): number {
    return this.#hand_over_ms;
  }

  workerUp(worker: RoutedWorker, now_ms: number): void {
    this.#workers.set(worker.key, worker);
    this.dispatcher.workerUp(worker, now_ms);
  }

  workerGone(key: string, now_ms: number): void {
    if (this.#workers.delete(key)) this.dispatcher.workerGone(key, now_ms);
  }

  knows(key: string): boolean {
    return this.#workers.has(key);
  }

  reported(key: string, load: ReportedLoad, now_ms: number, sums?: PassSums): void {
    this.dispatcher.reported(key, load, now_ms, sums);
  }

  /** True: a worker here, or the one of that name, can hand blocks to that one. */
  canServe(answers: RoutedWorker, name?: string): boolean {
    for (const { worker, sharer } of this.#workers.values()) {
      if (name !== undefined && worker !== name) continue;
      if (canShare(answers.sharer, sharer)) return true;
    }
    return false;
  }

  anyRoom(now_ms: number): boolean {
    return this.dispatcher.anyRoom(now_ms);
  }

  isFullFor(
    request: PlaceRequest,
    answers: RoutedWorker,
    uncached_tokens: number,
    now_ms: number,
    wait: PromptWait,
  ): boolean {
    const prompt = this.#promptFor(request, answers, uncached_tokens);
    if (prompt === undefined) return false;
    if (!this.dispatcher.wouldWait(prompt.asked, wait.since_ms, now_ms)) return false;
    const at = this.dispatcher.look(prompt.asked, now_ms);
    return at !== undefined && !this.#isTooLate(prompt, at, wait.tokens_before, now_ms);
  }

  hand(
    request: PlaceRequest,
    answers: RoutedWorker,
    uncached_tokens: number,
    now_ms: number,
    wait: PromptWait,
  ): number {
    const leg = this.place(request, answers, uncached_tokens, now_ms, wait);
    return leg === undefined ? uncached_tokens : request.prompt_tokens - leg.tokens;
  }

  /**
   * Places the prompt at once, and counts it at its worker until `ended`. Undefined: the worker that
   * answers computes it by itself.
   * @param answers the worker that makes the answer
   * @param uncached_tokens of the prompt there
   */
  place(
    request: PlaceRequest,
    answers: RoutedWorker,
    uncached_tokens: number,
    now_ms: number,
    wait?: PromptWait,
  ): PrefillPlacement | undefined {
    this.ended(request.request, now_ms);
    const prompt = this.#promptFor(request, answers, uncached_tokens);
    if (prompt === undefined) return undefined;
    const { asked, tokens } = prompt;
    // Others that wait come first only where this one would have to wait.
    const waits = wait !== undefined && this.dispatcher.wouldWait(asked, wait.since_ms, now_ms);
    const at = this.dispatcher.look(asked, now_ms);
    const tokens_before = waits ? wait.tokens_before : 0;
    if (at === undefined || this.#isTooLate(prompt, at, tokens_before, now_ms)) return undefined;
    const placed = this.dispatcher.placeNow(asked, now_ms);
    if (placed.kind !== "placed") return undefined;
    const { worker } = placed;
    const placement: PrefillPlacement = {
      ...{ request: asked, worker, tokens, uncached_tokens: placed.uncached_tokens },
      choice: placed.choice && { ...placed.choice, prefill: true },
      done_ms: undefined,
    };
    this.#placed.set(request.request, placement);
    return placement;
  }

  /** What is asked of a prefill worker; undefined: the worker that answers computes all of it. */
  #promptFor(
    request: PlaceRequest,
    answers: RoutedWorker,
    uncached_tokens: number,
  ): Prompt | undefined {
    const { prompt_tokens, hashes, whole, prefill_pin } = request;
    const { block_size } = answers;
    const blocks = Math.min(
      handedTokens(prompt_tokens, block_size) / block_size,
      hashes.length >>> 1,
    );
    const tokens = blocks * block_size;
    const saved_tokens = tokens - (prompt_tokens - uncached_tokens);
    if (this.#workers.size === 0 || whole === true || saved_tokens < block_size) return undefined;
    const is_named = prefill_pin !== undefined;
    const { rates: pool_rates } = this.dispatcher.learned();
    const rates = answers.rates ?? pool_rates;
    const requests = requestsThere(answers);
    const hand_over_ms = this.#hand_over_ms;
    const side = { prompt_tokens, uncached_tokens, rates, hand_over_ms, requests };
    if (!is_named && isLocal(this.#options, side)) return undefined;
    const wanted = this.#wanted(request, answers);
    if (wanted === undefined) return undefined;
    const asked = promptOf(request, tokens, hashes.subarray(0, 2 * blocks), wanted);
    return { asked, tokens, side, answers, is_named, pool_rates };
  }

  /** True: at that prefill worker it would be done later than where the answer is. */
  #isTooLate(
    { side, answers, is_named, pool_rates }: Prompt,
    { worker, uncached_tokens }: Look,
    tokens_before: number,
    now_ms: number,
  ): boolean {
    if (is_named) return false;
    const prefill = {
      uncached_tokens,
      backlog_tokens: backlogTokens(worker, now_ms) + tokens_before / this.#workers.size,
      rates: worker.rates ?? pool_rates,
    };
    const backlog_tokens = backlogTokens(answers, now_ms);
    return waitsTooLong(this.#options, { ...side, backlog_tokens, prefill });
  }

  /** The placement of a request whose prompt is not over here. */
  placed(request: string): PrefillPlacement | undefined {
    return this.#placed.get(request);
  }

  /** Its worker has computed the prompt. Returns that worker. */
  done(request: string, now_ms: number): RoutedWorker | undefined {
    const placement = this.#placed.get(request);
    if (placement === undefined) return undefined;
    placement.done_ms = now_ms;
    this.dispatcher.ended(request, now_ms);
    return placement.worker;
  }

  /** The worker that answers has made its first token. */
  firstToken(request: string, now_ms: number): void {
    const done_ms = this.#placed.get(request)?.done_ms;
    if (done_ms === undefined) return;
    const took_ms = Math.min(HAND_OVER_MOST_MS, now_ms - done_ms);
    const step = took_ms < this.#hand_over_ms ? STEP_DOWN : STEP_UP;
    this.#hand_over_ms += step * (took_ms - this.#hand_over_ms);
  }

  /** The request is over, or computed elsewhere after all. Returns its worker here. */
  ended(request: string, now_ms: number): RoutedWorker | undefined {
    const placement = this.#placed.get(request);
    if (placement === undefined) return undefined;
    this.#placed.delete(request);
    this.dispatcher.ended(request, now_ms);
    return placement.worker;
  }

  /**
   * Names of the workers that may compute it, as far as not all may; undefined: none may. A list of
   * workers that a client allows holds for both legs, but one that it names for the prompt wins.
   */
  #wanted(request: PlaceRequest, answers: RoutedWorker): readonly string[] | undefined {
    const all = [...this.#workers.values()];
    const { allow, prefill_pin } = request;
    if (prefill_pin !== undefined) {
      return this.canServe(answers, prefill_pin) ? [prefill_pin] : undefined;
    }
    const sharing = sharersWith(answers, all);
    const may = sharing.filter(({ worker }) => allow?.includes(worker) ?? true);
    if (may.length === 0) return undefined;
    return may.length === all.length ? [] : may.map(({ worker }) => worker);
  }
}

/** The prompt alone, without what the client says of the worker that answers. */
function promptOf(
  request: PlaceRequest,
  tokens: number,
  hashes: PlaceRequest["hashes"],
  allow: readonly string[],
): PlaceRequest {
  const { tolerated_taints, required_taints, adapter, preferred_taints, exclude } = request;
  const { explain } = request;
  return {
    ...{ request: request.request, prompt_tokens: tokens, hashes },
    ...{ tolerated_taints, required_taints, adapter, exclude },
    ...(preferred_taints === undefined ? {} : { preferred_taints }),
    ...(allow.length === 0 ? {} : { allow }),
    ...(explain === undefined ? {} : { explain }),
  };
}

/** The same policy without what answers cost. */
function prefillPolicy(policy: KvPolicyOptions): KvPolicyOptions {
  const { affinity: _affinity, queue: _queue, ...rest } = policy;
  return {
    ...rest,
    adaptive: {
      ...policy.adaptive,
      ...{ stall_weight: 0, decode_weight: 0, others_weight: 0, overfull_weight: 0 },
    },
    dynamo: { ...policy.dynamo, decode_active_request_weight: 0 },
  };
}
