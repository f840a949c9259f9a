import { expect, test } from "bun:test";
import { realRandom } from "../../../runtime/real/random.ts";
import {
  countingIds,
  forkRandom,
  pickIndex,
  SeededRandom,
} from "../../../runtime/simulation/random.ts";

test("the same seed gives the same numbers, another seed others", () => {
  const draw = (seed: number): number[] => {
    const random = new SeededRandom(seed);
    return Array.from({ length: 20 }, () => random.u32());
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  expect(draw(7)).not.toEqual(draw(7 + 2 ** 32));
});

test("numbers are uniform enough: means, bits and picks", () => {
  for (const random of [new SeededRandom(0), new SeededRandom(123), realRandom()]) {
    const draws = 20_000;
    let sum = 0;
    const bits = new Array(32).fill(0);
    const picks = new Array(7).fill(0);
    for (let i = 0; i < draws; i++) {
      const unit = random.unit();
      expect(unit >= 0 && unit < 1).toBe(true);
      sum += unit;
      const word = random.u32();
      for (let bit = 0; bit < 32; bit++) bits[bit] += (word >>> bit) & 1;
      picks[pickIndex(random, 7)]++;
    }
    // Ten standard deviations: never by chance.
    expect(Math.abs(sum / draws - 0.5)).toBeLessThan(0.021);
    for (const ones of bits) expect(Math.abs(ones / draws - 0.5)).toBeLessThan(0.036);
    for (const hits of picks) expect(Math.abs(hits / draws - 1 / 7)).toBeLessThan(0.025);
  }
});

test("u64 uses all 64 bits", () => {
  const random = new SeededRandom(5);
  let all = 0n;
  for (let i = 0; i < 64; i++) all |= random.u64();
  expect(all).toBe(2n ** 64n - 1n);
});

test("a fork is a stream of its own and moves its parent by a fixed amount", () => {
  const parent = new SeededRandom(1);
  const child = forkRandom(parent);
  const first = Array.from({ length: 5 }, () => child.u32());
  const twin = new SeededRandom(1);
  const twin_child = forkRandom(twin);
  expect(Array.from({ length: 5 }, () => twin_child.u32())).toEqual(first);
  expect(parent.u32()).toBe(twin.u32());
});

test("counted ids differ", () => {
  const ids = countingIds("n");
  expect([ids.next(), ids.next()]).toEqual(["n1", "n2"]);
});
