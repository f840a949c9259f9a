/** What has to hold of blocks beyond the engines. */
import type { Scenario } from "./scenario.ts";
import { workersOf } from "./scenario.ts";
import type { World } from "./world.ts";

type SpaceView = {
  readonly slots: number;
  readonly free: number;
  readonly staged: number;
  readonly registered: number;
  readonly held: number;
  readonly guests: number;
  readonly unaccounted: number;
  readonly disk?: { readonly unaccounted: number; readonly waiting: number };
};

type KeeperView = {
  readonly guests: number;
  readonly lost: number;
  readonly waits: number;
  readonly hand_offs: number;
  readonly prefetches: { readonly live: number };
  readonly spaces?: readonly SpaceView[];
};

type WorkerView = {
  readonly open: boolean;
  readonly uses: number;
  readonly to_offload: number;
  readonly waiting: number;
  readonly odd: number;
};

/** At any time: the first slot that is nobody's, or bytes that are not what they should be. */
export function checkSlots(world: World, scenario: Scenario): string | undefined {
  const { here, there } = world.memories;
  const misuse = here.misuse ?? there.misuse;
  if (misuse !== undefined) return misuse;
  for (const { unaccounted, disk } of spacesOf(world)) {
    const lost = unaccounted + (disk?.unaccounted ?? 0);
    if (lost !== 0) return `keeper: ${lost} slots and files are in no state`;
  }
  for (const [worker, view] of workerViews(world, scenario)) {
    if (view?.odd) return `${worker}: ${view.odd} blocks have others' bytes`;
  }
  return undefined;
}

/** When all is quiet: everybody is at home, and nobody writes or reads. */
export function checkTiers(world: World, scenario: Scenario): string | undefined {
  const keeper = keeperOf(world);
  if (keeper === undefined) return "there is no keeper";
  const views = workerViews(world, scenario);
  if (keeper.guests !== views.length) {
    return `keeper: ${keeper.guests} guests of ${views.length} workers`;
  }
  const { lost, waits, hand_offs } = keeper;
  const prefetches = keeper.prefetches.live;
  const open = Object.entries({ lost, waits, hand_offs, prefetches }).find(
    ([, count]) => count !== 0,
  );
  if (open !== undefined) return `keeper: ${open[0]} is ${open[1]}`;
  for (const space of keeper.spaces ?? []) {
    const { slots, free, staged, registered, held, disk } = space;
    if (disk !== undefined && disk.waiting !== 0)
      return `keeper: ${disk.waiting} wait for the disk`;
    if (staged !== 0) return `keeper: ${staged} slots are being written`;
    if (held !== 0) return `keeper: ${held} blocks are leased`;
    if (free + registered !== slots) {
      return `keeper: ${free} free and ${registered} registered of ${slots} slots`;
    }
  }
  for (const [worker, view] of views) {
    if (view === undefined) return `${worker} has no tiers`;
    if (!view.open) return `${worker} has no space at the keeper`;
    const { uses, to_offload, waiting } = view;
    const left = Object.entries({ uses, to_offload, waiting }).find(([, count]) => count !== 0);
    if (left !== undefined) return `${worker}: ${left[0]} is ${left[1]}`;
  }
  return checkSlots(world, scenario);
}

/** Blocks that came into engines from the keeper, of the workers that live now. */
export const onboardedIn = (world: World, scenario: Scenario): number =>
  workerViews(world, scenario).reduce((sum, [, view]) => sum + (view?.onboarded ?? 0), 0);

const keeperOf = (world: World) =>
  world.processes.get("kv")?.system?.snapshot("/kv/keeper") as KeeperView | undefined;

const spacesOf = (world: World): readonly SpaceView[] => keeperOf(world)?.spaces ?? [];

function workerViews(
  world: World,
  scenario: Scenario,
): readonly (readonly [string, (WorkerView & { readonly onboarded: number }) | undefined])[] {
  return Array.from({ length: scenario.workers }, (_, i) => `worker-${scenario.per_process * i}`)
    .map((place) => world.processes.get(place)?.system)
    .flatMap((system) =>
      system === undefined
        ? []
        : workersOf(scenario, system.node, system.node).map((worker) => {
            const snapshot = system.snapshot(`/worker/${worker}`);
            return [worker, snapshot?.["kv_tiers"] as never] as const;
          }),
    );
}
