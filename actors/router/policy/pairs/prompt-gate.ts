/**
 * Requests whose prompts others compute wait in the queue of the workers that answer, in its order,
 * until a prefill worker has room. So what waits for a prompt can be passed by what is more urgent,
 * counts in the queue's limits, and may still go to any of them.
 */
import type { PromptPool } from "../decisions.ts";
import type { QueueEntry, RouteQueue } from "../route-queue.ts";
import type { RoutedWorker } from "../worker-state.ts";

/** The worker that answers, as of now, and what it lacks of the prompt. */
export type Look = { readonly worker: RoutedWorker; readonly uncached_tokens: number };

/** With more requests than this in the queue, each is looked at less often. */
const LOOKED_AT_MOST = 64;
const LOOK_AGAIN_MS = 500;

export class PromptGate {
  readonly #pool: PromptPool;
  /** Uncached tokens of all that wait here. */
  #held_tokens = 0;
  #many = false;
  #room = false;

  constructor(pool: PromptPool) {
    this.#pool = pool;
  }

  /** Call it before the queue is asked for its next request. */
  begin(queue: RouteQueue, now_ms: number): void {
    this.#held_tokens = 0;
    if (this.#pool.size === 0) return;
    this.#many = queue.size > LOOKED_AT_MOST;
    this.#room = this.#pool.anyRoom(now_ms);
    for (const { held_tokens } of queue.entries()) this.#held_tokens += held_tokens;
  }

  /** Uncached tokens of the others that wait here. */
  before({ held_tokens }: QueueEntry): number {
    return this.#held_tokens - held_tokens;
  }

  /**
   * True: its prompt has to wait for a prefill worker.
   * @param look undefined: no worker may answer
   */
  holds(entry: QueueEntry, now_ms: number, look: () => Look | undefined): boolean {
    if (this.#pool.size === 0) return false;
    if (this.#many) {
      if (this.#room) return false;
      const { held_tokens, held_at_ms } = entry;
      if (held_tokens > 0 && now_ms - held_at_ms < LOOK_AGAIN_MS) return true;
    }
    const at = look();
    const wait = { since_ms: entry.arrived_ms, tokens_before: this.before(entry) };
    const { request, uncached_tokens } = entry;
    const holds =
      at !== undefined &&
      this.#pool.isFullFor(request, at.worker, at.uncached_tokens, now_ms, wait);
    const held_tokens = holds ? Math.max(1, uncached_tokens) : 0;
    this.#held_tokens += held_tokens - entry.held_tokens;
    entry.held_tokens = held_tokens;
    entry.held_at_ms = now_ms;
    return holds;
  }
}
