/** A real cluster follows load that swings: more workers, then fewer, and no request fails. */
import { expect, test } from "bun:test";
import { liveLoad } from "../../support/planner/live-load.ts";

test("workers come and go with the load, also when the planner is killed meanwhile", async () => {
  const plan = { max_workers: 6, low_per_s: 1, high_per_s: 24, period_s: 36, kill_planner_s: 16 };
  const { serving, failed, requests, names, changes } = await liveLoad(plan);
  expect(requests).toBeGreaterThan(200);
  expect(failed).toBe(0);
  expect(serving[0]).toBe(1);
  expect(Math.max(...serving)).toBeGreaterThanOrEqual(4);
  expect(Math.max(...serving)).toBeLessThanOrEqual(6);
  expect(serving.at(-1)).toBe(1);
  expect(names.length).toBeGreaterThanOrEqual(4);
  const broken = changes.filter(({ outcome }) => outcome !== "added" && outcome !== "gone");
  expect(broken).toEqual([]);
}, 150_000);
