/**
 * A worker process:
 *
 *     worker (one_for_one; the end of a single worker ends it)
 *     ├── discovery
 *     ├── planes      NATS and Redis, where there are several machines
 *     ├── inspector   restarted alone: it does not depend on the engine
 *     └── worker-0    owns the engine; several when they are simulated
 *
 * An engine that fails leaves native state behind, so the whole process ends and its slot in the
 * root starts a fresh one. Simulated engines that share a process have no native state: each of
 * these workers is restarted alone, and the others go on.
 */
import { ProcessInspector } from "../actors/inspector/inspector.ts";
import { WorkerActor, type WorkerOptions } from "../actors/worker/worker.ts";
import type { ChildSpec, SupervisorSpec } from "../runtime/supervision/child-spec.ts";

/** Restarts a minute beside one for each worker, which is tried every few seconds at most. */
const RESTARTS_BASE = 5;

/** A child with these options ends the process when it ends. */
const lastLife = { restart: "temporary", significant: true } as const;

const roleInTree = ({ role }: WorkerOptions): string => (role === "aggregated" ? "worker" : role);

export function workerTree(
  workers: readonly WorkerOptions[],
  first: readonly ChildSpec[],
  drain_ms: number,
): SupervisorSpec {
  const several = workers.length > 1;
  return {
    strategy: "one_for_one",
    intensity: RESTARTS_BASE + (several ? workers.length : 0),
    period_ms: 60_000,
    first_start: "together",
    ...(several ? {} : { auto_shutdown: "any_significant" as const }),
    children: [
      ...first,
      { id: "inspector", start: () => new ProcessInspector({ role: "worker", drain_ms }) },
      ...workers.map((options) => ({
        id: options.worker,
        role: roleInTree(options),
        ...(several ? {} : lastLife),
        start: () => new WorkerActor(options),
      })),
    ],
  };
}
