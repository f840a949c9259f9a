/**
 * Requests that wait in the router, and which of them goes next:
 *
 *   1. strict priority: a higher tier goes first, always
 *   2. classes of one tier share by weight: deficit round robin, charging uncached tokens, so a
 *      class of long prompts gets no more computing than one of short prompts
 *   3. within a class: first come first served, shortest uncached work first, or Dynamo's wspt
 *
 * Shortest-first ages: a request counts as one token less for each `ageing_ms` that it waits. So a
 * request that comes after a bounded time cannot overtake it, and none starves.
 */
import { isParticular, type PlaceRequest } from "./place-request.ts";

export type QueueOrder = "fcfs" | "shortest" | "wspt";

export type PolicyClass = {
  readonly name: string;
  /** Share of the computing among the classes of a tier that wait. Default 1. */
  readonly weight?: number;
  readonly order?: QueueOrder;
  /** Requests and prompt tokens of this class that may wait. Default: only the queue's limits. */
  readonly requests_max?: number;
  readonly tokens_max?: number;
};

export type QueueOptions = {
  readonly order: QueueOrder;
  readonly classes?: readonly PolicyClass[];
  readonly requests_max: number;
  readonly tokens_max: number;
  /** Milliseconds of waiting that outweigh one token of work, for "shortest". */
  readonly ageing_ms: number;
};

export const queueDefaults: QueueOptions = {
  order: "shortest",
  requests_max: 8_192,
  tokens_max: 512_000_000,
  ageing_ms: 10,
};

/** Result of `push`; the caller turns it into an HTTP status. */
export type PushResult =
  | { readonly kind: "queued" }
  | { readonly kind: "full"; readonly limit: "queue" | "class"; readonly class_name: string };

export type QueueEntry = {
  readonly request: PlaceRequest;
  readonly arrived_ms: number;
  /** Uncached tokens at the best matching worker, as of the last look. */
  uncached_tokens: number;
  looked_at_ms: number;
  /** Those of a prompt that waits for a prefill worker, as of `held_at_ms`; 0: it does not. */
  held_tokens: number;
  held_at_ms: number;
};

export const newEntry = (
  request: PlaceRequest,
  uncached_tokens: number,
  now_ms: number,
): QueueEntry => ({
  ...{ request, arrived_ms: now_ms, uncached_tokens, looked_at_ms: now_ms },
  ...{ held_tokens: 0, held_at_ms: 0 },
});

type ClassQueue = {
  readonly settings: PolicyClass;
  readonly entries: QueueEntry[];
  tokens: number;
  /** Uncached tokens that the class may take before others have their turn. */
  deficit: number;
};

type Tier = { readonly strict_priority: number; readonly classes: ClassQueue[]; turn: number };

/** Tokens that one turn adds to a class of weight 1: about one scheduler pass. */
const QUANTUM_TOKENS = 8_192;

export class RouteQueue {
  readonly options: QueueOptions;
  readonly #settings = new Map<string, PolicyClass>();
  /** Highest strict priority first. */
  readonly #tiers: Tier[] = [];
  readonly #where = new Map<string, { tier: Tier; queue: ClassQueue }>();
  #waiting_tokens = 0;
  #particular_count = 0;

  constructor(given: Partial<QueueOptions> = {}) {
    this.options = { ...queueDefaults, ...given };
    for (const each of given.classes ?? []) {
      if (!((each.weight ?? 1) > 0)) {
        throw new RangeError(
          `policy class ${each.name}: weight must be above 0, not ${each.weight}`,
        );
      }
      this.#settings.set(each.name, each);
    }
  }

  get size(): number {
    return this.#where.size;
  }

  /** How many requests cannot go to just any worker that has room. */
  get particular(): number {
    return this.#particular_count;
  }

  /** Prompt tokens of all waiting requests, with cached ones. */
  get tokens(): number {
    return this.#waiting_tokens;
  }

  push(request: PlaceRequest, uncached_tokens: number, now_ms: number): PushResult {
    const settings = this.#settings.get(request.policy_class ?? "") ?? { name: "" };
    const { requests_max, tokens_max } = this.options;
    if (this.size >= requests_max || this.#waiting_tokens + request.prompt_tokens > tokens_max) {
      return { kind: "full", limit: "queue", class_name: settings.name };
    }
    const tier = this.#tierOf(request.strict_priority ?? 0);
    const queue = classIn(tier, settings);
    const { requests_max: most = requests_max, tokens_max: most_tokens = tokens_max } = settings;
    const { length } = queue.entries;
    if (length >= most || queue.tokens + request.prompt_tokens > most_tokens) {
      return { kind: "full", limit: "class", class_name: settings.name };
    }
    queue.entries.push(newEntry(request, uncached_tokens, now_ms));
    queue.tokens += request.prompt_tokens;
    this.#waiting_tokens += request.prompt_tokens;
    if (isParticular(request)) this.#particular_count++;
    this.#where.set(request.request, { tier, queue });
    return { kind: "queued" };
  }

  /** Takes a request out: it was cancelled, or its deadline has passed. */
  remove(request: string): QueueEntry | undefined {
    const place = this.#where.get(request);
    if (place === undefined) return undefined;
    const at = place.queue.entries.findIndex((entry) => entry.request.request === request);
    return this.#take(place.tier, place.queue, at);
  }

  has(request: string): boolean {
    return this.#where.has(request);
  }

  /** All requests that wait, in no particular order. */
  *entries(): Iterable<QueueEntry> {
    for (const { classes } of this.#tiers) for (const { entries } of classes) yield* entries;
  }

  /**
   * Takes out the next request that `ready` lets go; undefined: none. A tier without a request that
   * can go (each is pinned to a full worker, say) does not hold up the next tier.
   */
  next(now_ms: number, ready: (entry: QueueEntry) => boolean): QueueEntry | undefined {
    for (const tier of this.#tiers) {
      const entry = this.#nextOf(tier, now_ms, ready);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  #nextOf(tier: Tier, now_ms: number, ready: (entry: QueueEntry) => boolean) {
    const { classes } = tier;
    const heads = classes.map((queue) => this.#headOf(queue, now_ms, ready));
    const going = heads.filter((head) => head >= 0).length;
    if (going === 0) return undefined;
    if (going > 1) skipRounds(classes, heads);
    for (let index = tier.turn; ; index = (index + 1) % classes.length) {
      const queue = classes[index]!;
      const head = heads[index]!;
      if (head < 0) {
        // A class of which no request can go does not save up deficit.
        queue.deficit = 0;
        continue;
      }
      const work = workOf(queue, head);
      if (queue.deficit >= work || going === 1) {
        queue.deficit = going === 1 ? 0 : queue.deficit - work;
        tier.turn = index;
        return this.#take(tier, queue, head);
      }
      queue.deficit += quantumOf(queue);
    }
  }

  /** Position of the request in the class that goes first; -1: none can. */
  #headOf(queue: ClassQueue, now_ms: number, ready: (entry: QueueEntry) => boolean) {
    let best = -1;
    let best_key = Number.POSITIVE_INFINITY;
    const order = queue.settings.order ?? this.options.order;
    for (let i = 0; i < queue.entries.length; i++) {
      const entry = queue.entries[i]!;
      const key = this.#keyOf(entry, order, now_ms);
      if (key >= best_key || !ready(entry)) continue;
      best = i;
      best_key = key;
    }
    return best;
  }

  #keyOf(entry: QueueEntry, order: QueueOrder, now_ms: number): number {
    const { request, arrived_ms, uncached_tokens } = entry;
    const jump_ms = request.priority_jump_ms ?? 0;
    if (order === "fcfs") return arrived_ms - jump_ms;
    if (order === "wspt") return request.prompt_tokens / (1 + jump_ms);
    return uncached_tokens - (now_ms - arrived_ms + jump_ms) / this.options.ageing_ms;
  }

  #take(tier: Tier, queue: ClassQueue, at: number): QueueEntry {
    const entry = queue.entries[at]!;
    queue.entries.splice(at, 1);
    queue.tokens -= entry.request.prompt_tokens;
    this.#waiting_tokens -= entry.request.prompt_tokens;
    if (isParticular(entry.request)) this.#particular_count--;
    this.#where.delete(entry.request.request);
    if (tier.classes.every(({ entries }) => entries.length === 0)) {
      this.#tiers.splice(this.#tiers.indexOf(tier), 1);
    }
    return entry;
  }

  #tierOf(strict_priority: number): Tier {
    const at = this.#tiers.findIndex((tier) => tier.strict_priority <= strict_priority);
    const found = this.#tiers[at];
    if (found?.strict_priority === strict_priority) return found;
    const tier: Tier = { strict_priority, classes: [], turn: 0 };
    this.#tiers.splice(at < 0 ? this.#tiers.length : at, 0, tier);
    return tier;
  }
}

function classIn(tier: Tier, settings: PolicyClass): ClassQueue {
  const found = tier.classes.find((queue) => queue.settings.name === settings.name);
  if (found !== undefined) return found;
  const queue: ClassQueue = { settings, entries: [], tokens: 0, deficit: 0 };
  tier.classes.push(queue);
  return queue;
}

function quantumOf({ settings }: ClassQueue): number {
  return QUANTUM_TOKENS * (settings.weight ?? 1);
}

function workOf({ entries }: ClassQueue, head: number): number {
  return Math.max(1, entries[head]!.uncached_tokens);
}

/**
 * Adds all rounds in which no class can go at once: a class of a tiny weight needs billions of
 * rounds for a long prompt.
 */
function skipRounds(classes: readonly ClassQueue[], heads: readonly number[]): void {
  let rounds = Number.POSITIVE_INFINITY;
  for (const [i, queue] of classes.entries()) {
    if (heads[i]! < 0) continue;
    const missing = workOf(queue, heads[i]!) - queue.deficit;
    rounds = Math.min(rounds, Math.ceil(missing / quantumOf(queue)) - 1);
  }
  if (!(rounds > 0)) return;
  for (const [i, queue] of classes.entries()) {
    if (heads[i]! >= 0) queue.deficit += rounds * quantumOf(queue);
  }
}
