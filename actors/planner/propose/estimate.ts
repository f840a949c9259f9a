/** TTFT and ITL that the model expects with the workers that serve now: those of the worst one. */
import type { Decision } from "../pipeline/decision.ts";
import type { PlanRole, PlanSnapshot } from "../pipeline/snapshot.ts";
import { itlMs, type RoleModel, ttftMs } from "./load-sla.ts";

/** @param modelOf undefined: what a pass of the role takes is not known */
export function estimate(
  modelOf: (role: PlanRole) => RoleModel | undefined,
  snapshot: PlanSnapshot,
): Decision["estimated"] {
  const { max_batch_tokens } = snapshot.limits;
  const models = {
    prefill: modelOf("prefill"),
    decode: modelOf("decode"),
    aggregated: modelOf("aggregated"),
  };
  let ttft_ms: number | undefined;
  let itl_ms: number | undefined;
  for (const worker of snapshot.workers) {
    const of_role = models[worker.role];
    if (of_role === undefined || worker.state !== "serving" || !worker.reports) continue;
    if (worker.role !== "decode") {
      ttft_ms = Math.max(ttft_ms ?? 0, ttftMs(worker, of_role, max_batch_tokens));
    }
    if (worker.role !== "prefill") itl_ms = Math.max(itl_ms ?? 0, itlMs(worker, of_role));
  }
  return { ttft_ms, itl_ms };
}
