/**
 * Blocks beyond the engines under seeded faults, as `bun run sim --kv` runs them by the thousand: the
 * keeper, workers and clients go at any moment, and in the end no slot is lost, none is anybody's
 * who is gone, and every answer was exactly what it had to be.
 */
import { expect, test } from "bun:test";
import { runSeed } from "../world/run-seed.ts";
import { withTiers } from "../world/scenario.ts";

const seeds = 16;

test(`${seeds} seeds with a keeper: every slot is accounted for, every answer is exact`, async () => {
  let [deaths, left, onboarded, complete] = [0, 0, 0, 0];
  for (let seed = 1; seed <= seeds; seed++) {
    const result = await runSeed(seed, withTiers);
    if (result.broken !== undefined) throw new Error(`seed ${seed}: ${result.broken}`);
    deaths += result.deaths;
    onboarded += result.onboarded;
    left += result.outcomes["left"] ?? 0;
    complete += result.outcomes["complete"] ?? 0;
  }
  expect(deaths).toBeGreaterThan(seeds);
  expect(left).toBeGreaterThan(10 * seeds);
  expect(onboarded).toBeGreaterThan(50 * seeds);
  expect(complete).toBeGreaterThan(10 * seeds);
}, 240_000);

test("the same seed gives the same trace", async () => {
  const [a, b] = [await runSeed(3, withTiers), await runSeed(3, withTiers)];
  expect(a.trace_hash).toBe(b.trace_hash);
}, 60_000);
