/** Least numbers that change while planners run, and what a later start makes of them. */
import { expect, test } from "bun:test";
import { LiveConfigs } from "../../../actors/planner/live-configs.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import { plan_config } from "../../support/planner/plan-cases.ts";

const log = { log() {} };

test("what was changed holds after a restart, and the rest follows the flags of that start", async () => {
  const store = new MemoryStore();
  const base = { ...plan_config, mode: "agg" as const, min_endpoint: 1, max_gpu_budget: 8 };
  const first = new LiveConfigs(store, log, () => 1);
  first.add("m", base);
  await first.change("m", { ...base, min_endpoint: 3 });
  expect(first.now("m")!.min_endpoint).toBe(3);
  const later = new LiveConfigs(store, log, () => 1);
  later.add("m", { ...base, max_gpu_budget: 16 });
  await later.load("m");
  expect(later.now("m")).toMatchObject({ min_endpoint: 3, max_gpu_budget: 16 });
});

test("what does not fit any more is left, and the start holds", async () => {
  const store = new MemoryStore();
  const base = { ...plan_config, mode: "agg" as const, min_endpoint: 1, max_gpu_budget: -1 };
  const first = new LiveConfigs(store, log, () => 1);
  first.add("m", base);
  await first.change("m", { ...base, min_endpoint: 6 });
  const later = new LiveConfigs(store, log, () => 1);
  later.add("m", { ...base, max_gpu_budget: 2 });
  await later.load("m");
  expect(later.now("m")).toMatchObject({ min_endpoint: 1, max_gpu_budget: 2 });
});

test("who comes to decide says nothing of a number before it has read what the one before it set", async () => {
  const store = new MemoryStore();
  const base = { ...plan_config, mode: "agg" as const, min_endpoint: 1, max_gpu_budget: -1 };
  let epoch: number | undefined = 1;
  const here = new LiveConfigs(store, log, () => epoch);
  here.add("m", base);
  expect([here.models(), here.config("m")]).toEqual([[], undefined]);
  await here.load("m");
  expect([here.models(), here.config("m")?.min_endpoint]).toEqual([["m"], 1]);
  const there = new LiveConfigs(store, log, () => 2);
  there.add("m", base);
  await there.change("m", { ...base, min_endpoint: 3 });
  for (const now of [undefined, 3]) {
    epoch = now;
    expect([here.models(), here.config("m")]).toEqual([[], undefined]);
  }
  await here.load("m");
  expect(here.config("m")?.min_endpoint).toBe(3);
});
