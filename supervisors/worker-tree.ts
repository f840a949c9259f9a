/**
 * A worker process:
 *
 *     worker (one_for_one, no restart here)
 *     ├── discovery
 *     ├── planes      NATS and Redis, where there are several machines
 *     ├── inspector
 *     └── worker-0    owns the engine; several when they are simulated
 *
 * An engine that fails leaves native state behind, so the whole process goes and its slot in the
 * root starts a fresh one.
 */
import { ProcessInspector } from "../actors/inspector/inspector.ts";
import { WorkerActor, type WorkerOptions } from "../actors/worker/worker.ts";
import type { ChildSpec, SupervisorSpec } from "../runtime/child-spec.ts";

export function workerTree(
  workers: readonly WorkerOptions[],
  first: readonly ChildSpec[],
  drain_ms: number,
): SupervisorSpec {
  return {
    strategy: "one_for_one",
    intensity: 0,
    children: [
      ...first,
      { id: "inspector", start: () => new ProcessInspector({ role: "worker", drain_ms }) },
      ...workers.map((options) => ({
        id: options.worker,
        role: "worker",
        start: () => new WorkerActor(options),
      })),
    ],
  };
}
