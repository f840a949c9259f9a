/** `bun run size`: the search over made-up worlds, and on a small trace against all plans. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { polynomialTiming } from "../../../actors/engine/mocker/timing.ts";
import { traceSource } from "../../bench/replay/set-up/trace-source.ts";
import { type Deployment, deploymentOf, worldOf } from "../../bench/replay/set-up/world.ts";
import { outOfReach } from "../../bench/replay/sla/reach.ts";
import { costOf, nameOf, planFlags } from "../../bench/size/plan.ts";
import { type SearchSpace, search } from "../../bench/size/search.ts";
import { readSizeFlags } from "../../bench/size/size-flags.ts";
import { sized } from "../../bench/size/size-plan.ts";
import { type Trial, tried } from "../../bench/size/trial.ts";

const base: Deployment = {
  ...{ workers: 1, prefill: 0, mode: "kv", policy: "adaptive", objective: "goodput" },
  ...{ host_blocks: 0, disk_blocks: 0 },
};
const free = { host_gb: 0, disk_gb: 0 };
const GB = 1e9;

const trialOf = (deployment: Deployment, share: number): Trial => ({
  ...{ deployment, share, progress: 1, late_first: 1 - share, slow_tokens: 0, refused: 0 },
  ...{ ttft_p95_ms: 0, itl_p95_ms: 0, worker_hours: 1 },
});

const space: SearchSpace = {
  base,
  workers_most: 64,
  routers: [
    { mode: "kv", policy: "adaptive", objective: "ttft" },
    { mode: "kv", policy: "dynamo", objective: "goodput" },
    { mode: "round-robin", policy: "adaptive", objective: "goodput" },
  ],
  tiers: [
    { host_blocks: 0, disk_blocks: 0 },
    { host_blocks: 100, disk_blocks: 0 },
  ],
  splits: true,
};

/** Found over a world in which a plan is worth that share. */
async function foundIn(shareOf: (plan: Deployment) => number, lanes = 2, prices = free) {
  let trials = 0;
  const { plan } = await search(space, {
    attempt: async (deployment) => {
      trials++;
      return trialOf(deployment, shareOf(deployment));
    },
    holds: ({ share = 0 }) => share >= 0.95,
    cost: (deployment) => costOf(deployment, GB, prices),
    lanes,
  });
  return { plan: plan?.deployment, trials };
}

/** What each worker is worth, by router and tier; a split has its best at a quarter. */
const worth = (plan: Deployment, router: number, tier: number, split: number) => {
  const speed = 1 + (plan.objective === "ttft" ? router : 0) + (plan.host_blocks > 0 ? tier : 0);
  const off = plan.prefill === 0 ? 0 : Math.abs(plan.prefill / plan.workers - 0.25);
  const splits = plan.prefill === 0 ? 0 : split - off;
  return plan.workers * (speed + splits);
};

test("the fewest workers, whatever the number and however many trials run side by side", async () => {
  const lanes = fc.integer({ min: 1, max: 5 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 64 }), lanes, async (needed, count) => {
      const { plan } = await foundIn(
        ({ workers, prefill }) => (workers >= needed && prefill === 0 ? 0.96 : 0.5),
        count,
      );
      expect(plan).toEqual({ ...base, workers: needed });
    }),
  );
  expect((await foundIn(() => 0.9)).plan).toBeUndefined();
});

test("a router, memory or a split that saves workers is found, and what saves none is left out", async () => {
  const need = (router: number, tier: number, split: number) =>
    foundIn((plan) =>
      worth(plan, router, tier, split) >= 20
        ? 0.96
        : 0.5 + 0.001 * worth(plan, router, tier, split),
    );
  expect((await need(0, 0, -1)).plan).toEqual({ ...base, workers: 20 });
  expect((await need(0.25, 0, -1)).plan).toEqual({ ...base, objective: "ttft", workers: 16 });
  expect((await need(0, 0.25, -1)).plan).toEqual({ ...base, host_blocks: 100, workers: 16 });
  const both = { ...base, objective: "ttft", host_blocks: 100, workers: 14 } as const;
  expect((await need(0.25, 0.25, -1)).plan).toEqual(both);
  const split = await need(0, 0, 0.25);
  expect(split.plan).toMatchObject({ workers: 16, prefill: 4 });
  expect(split.trials).toBeLessThan(60);
});

test("memory that has a price is taken only where it saves more", async () => {
  // 100 blocks of a GB a worker save 4 of 20 workers.
  const holds = (plan: Deployment) => (worth(plan, 0, 0.25, -1) >= 20 ? 0.96 : 0.5);
  const dear = await foundIn(holds, 2, { host_gb: 0.01, disk_gb: 0 });
  expect(dear.plan).toEqual({ ...base, workers: 20 });
  const cheap = await foundIn(holds, 2, { host_gb: 0.001, disk_gb: 0 });
  expect(cheap.plan).toMatchObject({ host_blocks: 100, workers: 16 });
});

const small = [
  "synthetic:requests=240,rate=20,isl=3000,osl=60,groups=4,seed=3",
  ...["--ttft-ms", "300", "--itl-ms", "25", "--max-workers", "6", "--no-router-search"],
];

function smallWorld() {
  const { flags, sources } = readSizeFlags(small);
  const source = traceSource(sources, flags);
  const world = worldOf(flags, source);
  return { source, world, base: deploymentOf(flags), sla: { ttft_ms: 300, itl_ms: 25 } };
}

test("on a small trace the plan is the cheapest of all that there are", async () => {
  const { source, world, base: own, sla } = smallWorld();
  const shareOf = (deployment: Deployment) =>
    tried(world, source, { deployment, sla, outside_most: 1 }).share ?? 0;
  const all = [1, 2, 3, 4, 5, 6].flatMap((workers) =>
    Array.from({ length: workers }, (_, prefill) => ({ ...own, workers, prefill })),
  );
  const holding = all.filter((each) => shareOf(each) >= 0.95);
  const fewest = Math.min(...holding.map(({ workers }) => workers));
  expect(fewest).toBeWithin(2, 6);
  const found = await sized(
    {
      ...{ sla, share: 0.95, out_of_reach: 0 },
      space: { base: own, workers_most: 6, routers: [], tiers: [], splits: true },
      cost: (deployment) => costOf(deployment, 1, free),
    },
    {
      lanes: {
        ...{ count: 1, plan: async () => undefined, close: () => {} },
        run: async (each) => tried(world, source, each),
      },
      ...{ late: () => false, stopped: () => false, tried: () => {} },
    },
  );
  expect(found).toMatchObject({ complete: true, goal: 0.95, most: undefined });
  expect(found.plan!.deployment.workers).toBe(fewest);
  expect(found.plan!.share).toBe(shareOf(found.plan!.deployment));
  expect(found.neighbours.length).toBeGreaterThan(0);
  for (const { deployment, share = 0 } of found.neighbours) {
    expect(deployment.workers).toBe(fewest - 1);
    expect(share).toBeLessThan(0.95);
  }
});

test("a trial that is stopped had too many outside the limits; one that is not, says the same", () => {
  const { source, world, base: own, sla } = smallWorld();
  const deployment = { ...own, workers: 1 };
  const whole = tried(world, source, { deployment, sla, outside_most: 1 });
  const outside = 1 - whole.share!;
  expect(whole.late_first + whole.slow_tokens + whole.refused).toBeCloseTo(outside, 3);
  const cut = tried(world, source, { deployment, sla, outside_most: outside / 2 });
  expect(cut.share).toBeUndefined();
  expect(cut.progress).toBeLessThan(1);
  expect(tried(world, source, { deployment, sla, outside_most: outside + 0.01 })).toEqual(whole);
});

test("prompts that alone take too long are out of reach, whatever the plan", () => {
  const { flags, sources } = readSizeFlags([
    "synthetic:requests=50,isl=9000,osl=5,groups=0,spread=0",
  ]);
  const source = traceSource(sources, flags);
  const { mocker } = worldOf(flags, source);
  const reach = (ttft_ms: number) =>
    outOfReach(source.trace, 512, mocker, polynomialTiming, { ttft_ms, itl_ms: undefined });
  const chunks = polynomialTiming.prefillMs(8_192) + polynomialTiming.prefillMs(9_000 - 8_192);
  expect(reach(chunks - 1)).toBe(1);
  expect(reach(chunks + 10)).toBe(0);
  // Of two that are alike, the second one has all but its last block in the cache.
  const [first] = source.trace;
  const twice = [first!, { ...first!, id: "again" }];
  expect(outOfReach(twice, 512, mocker, polynomialTiming, { ttft_ms: 100, itl_ms: 1 })).toBe(0.5);
});

test("a plan names itself, and the flags that replay it", () => {
  const split: Deployment = { ...base, workers: 5, prefill: 2, host_blocks: 64 };
  expect(nameOf(split)).toBe("2 prefill + 3 decode, kv goodput, 64 host blocks");
  expect(planFlags(split).join(" ")).toBe(
    "--prefill 2 --decode 3 --router-mode kv --router-policy adaptive --router-objective goodput " +
      "--kv-host-blocks 64",
  );
  expect(nameOf({ ...base, mode: "round-robin" })).toBe("1 worker, round-robin");
});
