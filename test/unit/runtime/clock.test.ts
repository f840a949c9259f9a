import { expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";

test("timers fire by time, and in the order they were set at the same time", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 20 })), async (delays) => {
      const clock = new VirtualClock();
      const fired: [number, number][] = [];
      delays.forEach((delay_ms, i) => {
        clock.after(delay_ms, () => fired.push([clock.now_ms(), i]));
      });
      await clock.runUntilIdle();
      const expected = delays
        .map((delay_ms, i): [number, number] => [delay_ms, i])
        .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      expect(fired).toEqual(expected);
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test("a cancelled timer does not fire, and does not hold the time up", async () => {
  const clock = new VirtualClock();
  const fired: string[] = [];
  const first = clock.after(10, () => fired.push("first"));
  clock.after(20, () => fired.push("second"));
  clock.cancel(first);
  expect(clock.next_due_ms).toBe(20);
  await clock.advance(15);
  expect(fired).toEqual([]);
  await clock.advance(15);
  expect(fired).toEqual(["second"]);
  expect(clock.now_ms()).toBe(30);
});

test("what a timer sets going in promises is done before the next timer fires", async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  clock.after(1, () => void Promise.resolve().then(() => seen.push("promise of 1")));
  clock.after(2, () => seen.push("2"));
  await clock.advance(5);
  expect(seen).toEqual(["promise of 1", "2"]);
});

test("a timer set by a timer fires in the same advance when it is due", async () => {
  const clock = new VirtualClock();
  const at: number[] = [];
  clock.after(5, () => clock.after(5, () => at.push(clock.now_ms())));
  await clock.advance(10);
  expect(at).toEqual([10]);
});

test("running until idle ends with an error when a timer sets itself anew for ever", async () => {
  const clock = new VirtualClock();
  const again = (): void => void clock.after(1, again);
  again();
  await expect(clock.runUntilIdle(100)).rejects.toThrow("does one repeat");
});

test("the wall clock moves with the monotonic one", async () => {
  const clock = new VirtualClock(1000);
  await clock.advance(5);
  expect(clock.wall_ms()).toBe(1005);
  expect(() => clock.after(Number.NaN, () => {})).toThrow(RangeError);
});
