/**
 * The root process:
 *
 *     cluster (one_for_one)
 *     ├── registry          who is where, with leases
 *     ├── discovery         this process's view of it
 *     ├── planes            NATS and Redis, where there are several machines
 *     ├── limits            what keys have used, where there is a keys file
 *     ├── adapters          LoRA adapters of this machine's workers, where it has some
 *     ├── pool              more workers and fewer, where it has some
 *     ├── inspector         answers for this process
 *     ├── load              what all processes have counted, over the last hour
 *     ├── inspector-door    /api/tree over HTTP
 *     ├── workers (dynamic)
 *     │   ├── worker-0 ─ process
 *     │   └── …
 *     ├── routers (dynamic)     those that have a process of their own
 *     ├── planners (dynamic)    what decides how many workers there are, where it is
 *     ├── kv (dynamic)          the keeper of this machine's blocks, where there is one
 *     └── frontends (dynamic)
 *         ├── frontend-0 ─ process
 *         └── …
 */
import {
  InspectorDoor,
  type InspectorDoorOptions,
  LoadHistory,
  ProcessInspector,
} from "../actors/inspector/inspector.ts";
import { Registry, type RegistryOptions } from "../runtime/registry/registry.ts";
import type { ChildSpec, SupervisorSpec } from "../runtime/supervision/child-spec.ts";
import { supervisor } from "../runtime/supervision/supervisor.ts";
import { rootPaths } from "./paths.ts";

/**
 * `more`: planes, limits, adapters and pool, as far as there are any. Slots for the
 * keeper of blocks and for a planner stand where there is one.
 */
export function rootTree(
  inspector: InspectorDoorOptions,
  discovery: ChildSpec,
  registry: RegistryOptions,
  more: readonly ChildSpec[],
  { kv, planner }: { readonly kv: boolean; readonly planner: boolean },
): SupervisorSpec {
  return {
    strategy: "one_for_one",
    intensity: 5,
    period_ms: 10_000,
    children: [
      { id: "registry", start: () => new Registry(registry) },
      discovery,
      ...more,
      { id: "inspector", start: () => new ProcessInspector({ role: "root" }) },
      { id: "load", start: () => new LoadHistory({ processes: inspector.processes }) },
      {
        id: "inspector-door",
        start: () => new InspectorDoor({ load_path: rootPaths.load, ...inspector }),
      },
      ...(kv ? [slots("kv")] : []),
      ...(planner ? [slots("planners")] : []),
      slots("workers"),
      slots("routers"),
      slots("frontends"),
    ],
  };
}

/** Children come by `start_child`, all at once: they take seconds and do not need each other. */
function slots(id: string): ChildSpec {
  return {
    id,
    kind: "supervisor",
    start: supervisor({ strategy: "dynamic", intensity: 5, period_ms: 10_000, children: [] }),
  };
}
