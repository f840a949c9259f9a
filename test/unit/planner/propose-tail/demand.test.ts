/** The load that will be there when a new worker serves, by the arrivals of the last minutes. */
import { expect, test } from "bun:test";
import {
  type Arrivals,
  demandOf,
  heapsOf,
  withArrivals,
} from "../../../../actors/planner/propose-tail/demand.ts";
import { SeededRandom } from "../../../../runtime/simulation/random.ts";

const interval_ms = 5_000;

/** @param heap requests that come at a time, at moments of their own */
function arrivals(rates: readonly number[], heap = 1, seed = 1): Arrivals {
  const random = new SeededRandom(seed);
  let points: Arrivals = [];
  for (const [i, rate] of rates.entries()) {
    let [heaps, left_s] = [0, interval_ms / 1_000];
    for (;;) {
      left_s += (Math.log(1 - random.unit()) * heap) / Math.max(1e-9, rate);
      if (left_s < 0) break;
      heaps++;
    }
    points = withArrivals(points, {
      at_ms: (i + 1) * interval_ms,
      started: heap * heaps,
      interval_ms,
    });
  }
  return points;
}

const steady = (rate: number, count = 60): number[] => new Array<number>(count).fill(rate);

test.each([
  [1, 20],
  [1, 200],
  [4, 40],
  [10, 10],
])("heaps of %d at %d requests/s are seen as such", (heap, rate) => {
  let sum = 0;
  for (let seed = 1; seed <= 20; seed++) sum += heapsOf(arrivals(steady(rate), heap, seed));
  expect(sum / 20 / heap).toBeGreaterThan(0.7);
  expect(sum / 20 / heap).toBeLessThan(1.5);
});

test("neither a trend nor a jump looks like heaps", () => {
  const rising = Array.from({ length: 60 }, (_, i) => 5 + i);
  expect(heapsOf(arrivals(rising))).toBeLessThan(2.5);
  expect(heapsOf(arrivals([...steady(5, 30), ...steady(60, 30)]))).toBeLessThan(2.5);
});

test("a rising line is continued, as far as it goes back, and a falling one is not", () => {
  const rising = Array.from({ length: 24 }, (_, i) => 10 + i);
  const near = demandOf(arrivals(rising), 30_000);
  expect(near?.ahead).toBeGreaterThan(1.1 * (near?.now ?? 0));
  const far = demandOf(arrivals(rising), 120_000);
  const farther = demandOf(arrivals(rising), 600_000);
  expect(farther?.ahead).toBe(far?.ahead ?? Number.NaN);
  const falling = demandOf(arrivals(rising.toReversed()), 30_000);
  expect(falling?.ahead).toBe(falling?.now ?? Number.NaN);
});

test("what was before a jump is left out at once", () => {
  const demand = demandOf(arrivals([...steady(4), 40]), 35_000);
  expect(demand?.now).toBeGreaterThan(30);
});

test("a steady load is averaged over minutes, also where requests come in heaps", () => {
  for (const heap of [1, 10]) {
    const demand = demandOf(arrivals(steady(20), heap, 3), 35_000);
    expect(demand?.now).toBeGreaterThan(14);
    expect(demand?.ahead).toBeLessThan(30);
  }
});

test("without any figures nothing is known, and without requests nothing comes", () => {
  expect(demandOf([], 30_000)).toBeUndefined();
  expect(demandOf(arrivals(steady(0)), 30_000)).toMatchObject({ now: 0, ahead: 0 });
});
