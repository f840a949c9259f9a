/**
 * The asks that a router of mode kv has not answered. Each waits in the queue of its model, or is
 * held outside of it as long as there is no worker that may take it.
 */
import type { Route } from "../../proto/index.ts";
import type { Clock, Timer } from "../../runtime/capabilities.ts";
import type { ReplyPort } from "../../runtime/kernel/ref.ts";
import { SlotMap } from "../../runtime/slot-map.ts";
import { noWorkerWait } from "./no-worker.ts";
import { type Constraints, constraintsOf } from "./policy/constraints.ts";
import type { RouterOptions } from "./router-options.ts";

export type Pending = {
  readonly route: Route;
  readonly constraints: Constraints;
  /** undefined while the Route itself is being handled. */
  port: ReplyPort | undefined;
  timer: Timer | undefined;
  /** On the clock's scale; the asker is gone then. */
  readonly deadline_ms: number;
  /** On the same scale. */
  readonly came_ms: number;
  /** True: it is outside of its model's queue, because no present worker may take it. */
  held: boolean;
};

/** Told to the router when a request has waited for its time. */
type WaitOver = { readonly kind: "wait_over"; readonly request: string };

/** The part of the router's context that it needs. */
interface PendingContext {
  readonly clock: Clock;
  after(delay_ms: number, message: WaitOver): Timer;
  cancel(timer: Timer): void;
}

export class PendingRoutes {
  readonly #ctx: PendingContext;
  readonly #wait_ms: number;
  readonly #held_max: number;
  readonly #by_request = new SlotMap<string, Pending>();
  #held_count = 0;
  readonly #shown: ((model: string) => void) | undefined;

  /** @param shown called with the model of each request that is held */
  constructor(
    ctx: PendingContext,
    options: Pick<RouterOptions, "wait_ms" | "waiting_max">,
    shown?: (model: string) => void,
  ) {
    this.#ctx = ctx;
    this.#shown = shown;
    this.#wait_ms = options.wait_ms ?? noWorkerWait.wait_ms;
    this.#held_max = options.waiting_max ?? noWorkerWait.waiting_max;
  }

  get size(): number {
    return this.#by_request.size;
  }

  get held_count(): number {
    return this.#held_count;
  }

  /** No more may be held. */
  get isFull(): boolean {
    return this.#held_count >= this.#held_max;
  }

  get(request: string): Pending | undefined {
    return this.#by_request.get(request);
  }

  requests(): Iterable<string> {
    return this.#by_request.keys();
  }

  values(): Iterable<Pending> {
    return this.#by_request.values();
  }

  /** A copy of the held requests, as some may be let go while the caller walks them. */
  held(): readonly Pending[] {
    if (this.#held_count === 0) return [];
    return [...this.#by_request.values()].filter(({ held }) => held);
  }

  add(route: Route, deadline_ms = Number.POSITIVE_INFINITY): Pending {
    const constraints = constraintsOf(route);
    const came_ms = this.#ctx.clock.now_ms();
    const rest = { port: undefined, timer: undefined, deadline_ms, came_ms, held: false };
    const pending: Pending = { route, constraints, ...rest };
    this.#by_request.set(route.request, pending);
    return pending;
  }

  hold(pending: Pending): void {
    pending.held = true;
    this.#held_count++;
    this.#shown?.(pending.route.model);
  }

  /** Held requests of a model, and since when the first of them is here; for figures. */
  heldOf(model: string): { readonly count: number; readonly since_ms: number | undefined } {
    const own = this.held().filter(({ route }) => route.model === model);
    const since_ms = own.length === 0 ? undefined : Math.min(...own.map((each) => each.came_ms));
    return { count: own.length, since_ms };
  }

  release(pending: Pending): void {
    if (!pending.held) return;
    pending.held = false;
    this.#held_count--;
  }

  /**
   * Tells the router when the request has waited for long, at its deadline at the latest.
   * @param wait_ms from now; as long as a first wait is, if not given
   */
  wait(pending: Pending, wait_ms = this.#wait_ms): void {
    const left_ms = Math.max(0, pending.deadline_ms - this.#ctx.clock.now_ms());
    const message = { kind: "wait_over", request: pending.route.request } as const;
    pending.timer = this.#ctx.after(Math.min(wait_ms, left_ms), message);
  }

  /** Removes a request that is answered or cancelled. */
  settle(pending: Pending): void {
    this.#by_request.delete(pending.route.request);
    this.release(pending);
    if (pending.timer !== undefined) this.#ctx.cancel(pending.timer);
  }
}
