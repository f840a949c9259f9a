/**
 * The process that keeps a machine's blocks beyond its engines:
 *
 *     kv (one_for_one; the end of the keeper ends it)
 *     ├── discovery
 *     ├── planes      NATS and Redis, where there are several machines
 *     ├── inspector
 *     └── keeper      which blocks are in which slots
 *
 * A keeper that fails leaves native memory behind, so the whole process ends and its slot in the
 * root starts a fresh one.
 */
import { ProcessInspector } from "../actors/inspector/inspector.ts";
import { BlockKeeper, type KeeperOptions } from "../actors/kv/kv.ts";
import type { ChildSpec, SupervisorSpec } from "../runtime/supervision/child-spec.ts";

export function kvTree(keeper: KeeperOptions, first: readonly ChildSpec[]): SupervisorSpec {
  return {
    strategy: "one_for_one",
    intensity: 5,
    period_ms: 10_000,
    auto_shutdown: "any_significant",
    children: [
      ...first,
      { id: "inspector", start: () => new ProcessInspector({ role: "kv" }) },
      {
        id: "keeper",
        role: "kv",
        restart: "temporary",
        significant: true,
        start: () => new BlockKeeper(keeper),
      },
    ],
  };
}
