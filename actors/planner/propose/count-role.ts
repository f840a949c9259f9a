/** How a role stands in a snapshot. */
import type { PlanRole, PlanSnapshot, WorkerView } from "../pipeline/snapshot.ts";

export type RoleCount = {
  readonly serving: readonly WorkerView[];
  readonly starting: readonly WorkerView[];
  readonly retiring: number;
};

export function countRole(snapshot: PlanSnapshot, role: PlanRole): RoleCount {
  const serving: WorkerView[] = [];
  const starting: WorkerView[] = [];
  let retiring = 0;
  for (const worker of snapshot.workers) {
    if (worker.role !== role) continue;
    if (worker.state === "serving") serving.push(worker);
    else if (worker.state === "starting") starting.push(worker);
    else retiring++;
  }
  return { serving, starting, retiring };
}
