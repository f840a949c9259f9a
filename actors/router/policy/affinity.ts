/**
 * Session affinity: the first placement of a session binds it to a worker, each later placement
 * renews the binding, and it ends `ttl_ms` after the last one.
 *
 *   hard   the bound worker or, when it is gone or may not be used, a new binding
 *   soft   the bound worker is cheaper by a share of its cost
 */
import type { KvFilter } from "./filters.ts";
import type { Factor } from "./select.ts";
import type { RoutedWorker } from "./worker-state.ts";

export type AffinityOptions = {
  readonly mode: "hard" | "soft";
  readonly ttl_ms: number;
  /** Soft: factor on the cost at the bound worker. Default 0.5. */
  readonly soft_factor?: number;
  /** Most bindings; beyond this the least recently used one is dropped. Default 100,000. */
  readonly sessions_max?: number;
};

/**
 * `bound_ms` is wall time and only orders the bindings that several routers made of one session.
 */
export type Binding = {
  readonly key: string;
  /** How often the session had to leave a worker that was still there. */
  readonly moves: number;
  readonly bound_ms: number;
  readonly until_ms: number;
};

export class SessionAffinity {
  /** In order of last use, oldest first. */
  readonly #bindings = new Map<string, Binding>();

  constructor(readonly options: AffinityOptions) {}

  get size(): number {
    return this.#bindings.size;
  }

  /** Binds the session or renews its binding. Returns the binding to tell other routers. */
  bind(session: string, worker: RoutedWorker, now_ms: number, wall_ms = now_ms): Binding {
    const before = this.#live(session, now_ms);
    const stays = before?.key === worker.key;
    const binding: Binding = {
      key: worker.key,
      moves: stays ? before.moves : (before?.moves ?? -1) + 1,
      bound_ms: stays ? before.bound_ms : wall_ms,
      until_ms: now_ms + this.options.ttl_ms,
    };
    this.#keep(session, binding, now_ms);
    return binding;
  }

  /**
   * Another router bound this session. All routers keep the same one of two bindings, in whatever
   * order they learn of them.
   */
  learn(session: string, told: Binding, now_ms: number): void {
    const own = this.#live(session, now_ms);
    if (own === undefined || own.key === told.key || holds(told, own)) {
      const until_ms = Math.max(told.until_ms, own?.key === told.key ? own.until_ms : 0);
      const older = own?.key === told.key && !holds(told, own) ? own : told;
      this.#keep(session, { ...older, until_ms }, now_ms);
    }
  }

  entries(): Iterable<readonly [session: string, binding: Binding]> {
    return this.#bindings;
  }

  #keep(session: string, binding: Binding, now_ms: number): void {
    this.#bindings.delete(session);
    this.#bindings.set(session, binding);
    const most = this.options.sessions_max ?? 100_000;
    for (const [oldest, { until_ms }] of this.#bindings) {
      if (until_ms > now_ms && this.#bindings.size <= most) return;
      this.#bindings.delete(oldest);
    }
  }

  #live(session: string, now_ms: number): Binding | undefined {
    const binding = this.#bindings.get(session);
    return binding !== undefined && binding.until_ms > now_ms ? binding : undefined;
  }

  /** Key of the bound worker; undefined: the session has no binding. */
  boundTo(session: string, now_ms: number): string | undefined {
    return this.#live(session, now_ms)?.key;
  }

  forget(worker: RoutedWorker): void {
    for (const [session, { key }] of this.#bindings) {
      if (key === worker.key) this.#bindings.delete(session);
    }
  }

  /** Hard: admits only the bound worker, unless it failed this request already. */
  filter(): KvFilter {
    return {
      word: "not of its session",
      code: "overloaded",
      message: "The worker of this session may not take this request. Try again later.",
      concerns: ({ session }) => session !== undefined && this.options.mode === "hard",
      admits: (worker, { request, now_ms }) => {
        const bound = this.boundTo(request.session ?? "", now_ms);
        return (
          bound === undefined || bound === worker.key || (request.exclude?.includes(bound) ?? false)
        );
      },
    };
  }

  /** Soft: the bound worker's cost counts less. */
  factor(): Factor {
    return {
      concerns: ({ session }) => session !== undefined && this.options.mode === "soft",
      of: ({ request, workers, now_ms }, at) => {
        const bound = this.boundTo(request.session ?? "", now_ms) === workers[at]!.key;
        return bound ? (this.options.soft_factor ?? 0.5) : 1;
      },
    };
  }
}

function holds(a: Binding, b: Binding): boolean {
  if (a.moves !== b.moves) return a.moves > b.moves;
  if (a.bound_ms !== b.bound_ms) return a.bound_ms < b.bound_ms;
  return a.key < b.key;
}
