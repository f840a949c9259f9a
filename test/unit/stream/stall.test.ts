import { expect, test } from "bun:test";
import {
  boundMs,
  lookAgainMs,
  newStallWatch,
  restartQuiet,
  tokensCame,
  whyStalled,
} from "../../../actors/stream/stall.ts";

/** Has heard a batch every `gap_ms` since 0. */
function steady(gap_ms: number, count = 40) {
  const watch = newStallWatch(100, 0);
  for (let i = 1; i <= count; i++) tokensCame(watch, i * gap_ms);
  return { watch, now_ms: count * gap_ms };
}

test("the bound follows the pace of the tokens, above a floor", () => {
  expect(boundMs(steady(5).watch)).toBe(1_000);
  expect(boundMs(steady(200).watch)).toBeCloseTo(6_000);
  const { watch, now_ms } = steady(10);
  tokensCame(watch, now_ms + 800);
  expect(boundMs(watch)).toBeGreaterThanOrEqual(2_400);
});

test("before the first token it follows the prompt's length", () => {
  expect(boundMs(newStallWatch(0, 0))).toBe(2_000);
  expect(boundMs(newStallWatch(8_000, 0))).toBe(18_000);
});

test("time without credit is no pause", () => {
  const { watch, now_ms } = steady(10);
  restartQuiet(watch, now_ms + 60_000);
  tokensCame(watch, now_ms + 60_010);
  expect(boundMs(watch)).toBe(1_000);
});

test("what a worker may say of itself, and what ends it for this answer", () => {
  const { watch, now_ms } = steady(10);
  const well = { known: true, sent: 40, passes: 7, waiting: 0 };
  expect(whyStalled(watch, well, 40, now_ms)).toBeUndefined();
  expect(whyStalled(watch, { ...well, passes: 8 }, 40, now_ms + 60_000)).toBeUndefined();
  expect(whyStalled(watch, { ...well, passes: 8 }, 40, now_ms + 69_000)).toBeUndefined();
  expect(whyStalled(watch, { ...well, passes: 8 }, 40, now_ms + 70_000)).toMatchObject({
    what: "stuck",
  });
  expect(whyStalled(watch, { ...well, known: false }, 40, now_ms)).toMatchObject({
    what: "missing",
  });
  expect(whyStalled(watch, { ...well, sent: 43 }, 40, now_ms)).toMatchObject({
    what: "missing",
    detail: "3 of its tokens were lost on the way",
  });
});

test("an engine that works, but has no room for all, is asked less and less often", () => {
  const { watch, now_ms } = steady(10);
  const busy = (passes: number) => ({ known: true, sent: 40, passes, waiting: 3 });
  const looks = [1, 2, 3, 4, 5, 6].map((passes) => {
    expect(whyStalled(watch, busy(passes), 40, now_ms)).toMatchObject({ what: "starved" });
    return lookAgainMs(watch);
  });
  expect(looks).toEqual([2_000, 4_000, 8_000, 16_000, 16_000, 16_000]);
  tokensCame(watch, now_ms + 10);
  expect(lookAgainMs(watch)).toBe(1_000);
});
