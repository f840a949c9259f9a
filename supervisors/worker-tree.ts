/**
 * A worker process:
 *
 *     worker (one_for_one, no restart here)
 *     ├── discovery
 *     ├── inspector
 *     └── worker      owns the engine
 *
 * An engine that fails leaves native state behind, so the whole process goes and its slot in the
 * root starts a fresh one.
 */
import { ProcessInspector } from "../actors/inspector/inspector.ts";
import { WorkerActor, type WorkerOptions } from "../actors/worker/worker.ts";
import type { ChildSpec, SupervisorSpec } from "../runtime/child-spec.ts";

export function workerTree(options: WorkerOptions, discovery: ChildSpec): SupervisorSpec {
  return {
    strategy: "one_for_one",
    intensity: 0,
    children: [
      discovery,
      { id: "inspector", start: () => new ProcessInspector({ role: "worker" }) },
      { id: "worker", start: () => new WorkerActor(options) },
    ],
  };
}
