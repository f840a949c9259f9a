/**
 * `bun run bench planner-live`: one swing of load on a real cluster with a planner, on simulated
 * engines. Workers over time, requests that failed, and answers that a drain did not wait for.
 */
import { liveLoad } from "../../support/planner/live-load.ts";
import type { Report } from "../bench.ts";

export async function benchPlannerLive(report: Report): Promise<void> {
  const plan = { max_workers: 6, low_per_s: 1, high_per_s: 40, period_s: 60 };
  const { serving, requests, failed, unfinished, changes } = await liveLoad(plan);
  const retired = changes.filter(({ outcome }) => outcome === "gone").length;
  report({
    case: "sine, 1 to 40 requests/s and back in 60 s",
    ...{ requests, failed, most_workers: Math.max(...serving), last_workers: serving.at(-1) ?? 0 },
    scale_downs_drained: retired,
    answers_unfinished_by_drains: unfinished,
    workers_each_second: serving.join(" "),
  });
}
