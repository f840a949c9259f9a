/** Numbers that are told by their 50th and 95th, of many and of a few. */
import { expect, test } from "bun:test";
import {
  normalShare,
  shareWithin,
  sigmaOf,
  spreadOut,
} from "../../../../actors/planner/propose-tail/log-normal.ts";
import { SeededRandom } from "../../../../runtime/simulation/random.ts";

// Tables of the normal distribution.
test.each([
  [-3, 0.0013499],
  [-1.645, 0.0499849],
  [0, 0.5],
  [1, 0.8413447],
  [2.326, 0.9899907],
])("the share below %d standard deviations is %d", (z, share) => {
  expect(normalShare(z)).toBeCloseTo(share, 6);
});

test("a hundred numbers have the median and the spread that they are made of", () => {
  const numbers = spreadOut(Math.log(200), 0.8);
  expect(numbers).toHaveLength(100);
  expect(numbers.toSorted((a, b) => a - b)).toEqual([...numbers]);
  expect(Math.sqrt(numbers[49]! * numbers[50]!)).toBeCloseTo(200, 3);
  for (const limit of [100, 200, 500]) {
    const counted = numbers.filter((each) => each <= limit).length / 100;
    expect(Math.abs(counted - shareWithin(limit, 200, 0.8))).toBeLessThanOrEqual(0.01);
  }
});

/** As the figures of an interval are taken: nearest rank. */
function drawn(count: number, sigma: number, random: SeededRandom) {
  const normal = () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.unit()));
    return radius * Math.cos(2 * Math.PI * random.unit());
  };
  const numbers = Array.from({ length: count }, () => 1_000 * Math.exp(sigma * normal()));
  numbers.sort((a, b) => a - b);
  return { p50: numbers[Math.floor(0.5 * count)]!, p95: numbers[Math.floor(0.95 * count)]! };
}

test.each([3, 9, 17, 60, 400])("of %d numbers the spread is right on average", (count) => {
  const random = new SeededRandom(count);
  let sum = 0;
  for (let i = 0; i < 4_000; i++) sum += sigmaOf(drawn(count, 1.2, random), count);
  expect(Math.abs(sum / 4_000 / 1.2 - 1)).toBeLessThan(0.05);
});
