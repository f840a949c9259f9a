/**
 * Sessions stay where they are: the first placement of a session binds it to a worker, each later
 * one renews the binding, and it ends `ttl_ms` after the last.
 *
 *   hard   the bound worker or, when it is gone or may not be used, a new binding
 *   soft   the bound worker is cheaper by a share of its cost
 */
import type { Filter, Scorer } from "./select.ts";
import type { RoutedWorker } from "./worker-state.ts";

export type AffinityOptions = {
  readonly mode: "hard" | "soft";
  readonly ttl_ms: number;
  /** Soft: cost at the bound worker as a share of what it would be. Default 0.5. */
  readonly soft_factor?: number;
  /** Sessions remembered; beyond it the one unused for longest is forgotten. Default 100,000. */
  readonly sessions_max?: number;
};

type Binding = { readonly key: string; readonly until_ms: number };

export class SessionAffinity {
  /** In order of last use, oldest first. */
  private readonly bindings = new Map<string, Binding>();

  constructor(readonly options: AffinityOptions) {}

  get size(): number {
    return this.bindings.size;
  }

  bind(session: string, worker: RoutedWorker, now_ms: number): void {
    this.bindings.delete(session);
    this.bindings.set(session, { key: worker.key, until_ms: now_ms + this.options.ttl_ms });
    const most = this.options.sessions_max ?? 100_000;
    for (const [oldest, { until_ms }] of this.bindings) {
      if (until_ms > now_ms && this.bindings.size <= most) return;
      this.bindings.delete(oldest);
    }
  }

  /** Another router bound it; the binding that was first stays. */
  learn(session: string, key: string, now_ms: number): void {
    if (this.boundTo(session, now_ms) !== undefined) return;
    this.bindings.set(session, { key, until_ms: now_ms + this.options.ttl_ms });
  }

  /** Key of the worker, undefined when the session is free. */
  boundTo(session: string, now_ms: number): string | undefined {
    const binding = this.bindings.get(session);
    return binding !== undefined && binding.until_ms > now_ms ? binding.key : undefined;
  }

  forget(worker: RoutedWorker): void {
    for (const [session, { key }] of this.bindings) {
      if (key === worker.key) this.bindings.delete(session);
    }
  }

  /** Hard: nobody but the bound worker, unless that one failed this request already. */
  filter(): Filter {
    return {
      name: "session",
      code: "overloaded",
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
  factor(): Scorer {
    return ({ request, workers, now_ms }, at) => {
      if (request.session === undefined || this.options.mode === "hard") return 1;
      const bound = this.boundTo(request.session, now_ms) === workers[at]!.key;
      return bound ? (this.options.soft_factor ?? 0.5) : 1;
    };
  }
}
