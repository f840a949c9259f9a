/** Requests that a router holds as their model has no worker: what a planner starts one for. */
import type { Clock } from "../../runtime/capabilities.ts";
import type { Metrics } from "../../runtime/observe/metrics.ts";

const HELD = "troupe_router_held_requests";
const OLDEST = "troupe_router_held_oldest_seconds";

type Held = { readonly count: number; readonly since_ms: number | undefined };

/** What it returns is called with the model of each request that is held, which has series then. */
export function heldMetrics(
  metrics: Metrics,
  clock: Pick<Clock, "now_ms">,
  heldOf: (model: string) => Held,
): (model: string) => void {
  const known = new Set<string>();
  return (model) => {
    if (known.has(model)) return;
    known.add(model);
    const labels = { model };
    const held = "Requests that wait for a worker, as their model has none.";
    metrics.gauge(HELD, held, labels, () => heldOf(model).count);
    const oldest = "How long the first of them has waited, in seconds.";
    metrics.gauge(OLDEST, oldest, labels, () => {
      const { since_ms } = heldOf(model);
      return since_ms === undefined ? 0 : (clock.now_ms() - since_ms) / 1_000;
    });
  };
}
