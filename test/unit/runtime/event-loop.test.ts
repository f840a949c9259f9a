import { expect, test } from "bun:test";
import type { Clock } from "../../../runtime/capabilities.ts";
import { watchEventLoop } from "../../../runtime/observe/event-loop.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";

/** A clock that may be found further on than its timers are due. */
function heldUpClock() {
  const clock = new VirtualClock();
  let held_ms = 0;
  const late: Clock = {
    now_ms: () => clock.now_ms() + held_ms,
    wall_ms: () => clock.wall_ms(),
    after: (delay_ms, run) => clock.after(delay_ms, run),
    cancel: (timer) => clock.cancel(timer),
    defer: (run) => clock.defer(run),
  };
  const holdUp = (ms: number): void => {
    held_ms += ms;
  };
  return { clock, late, holdUp };
}

test("the longest block is remembered, the last one until it is taken", async () => {
  const { clock, late, holdUp } = heldUpClock();
  const meter = watchEventLoop(late);
  await clock.advance(1_000);
  holdUp(30);
  await clock.advance(100);
  holdUp(7);
  await clock.advance(100);
  expect([meter.block_ms_max(), meter.takeBlock_ms(), meter.takeBlock_ms()]).toEqual([30, 30, 0]);
  holdUp(7);
  await clock.advance(10);
  expect([meter.block_ms_max(), meter.takeBlock_ms()]).toEqual([30, 7]);
  meter.stop();
  expect(clock.pending).toBe(0);
});

test("it looks often only while there is something to see", async () => {
  const { clock, late, holdUp } = heldUpClock();
  let looks = 0;
  const counted: Clock = {
    ...late,
    after: (delay_ms, run) => {
      looks++;
      return late.after(delay_ms, run);
    },
  };
  const meter = watchEventLoop(counted);
  await clock.advance(10_000);
  expect(looks).toBeLessThanOrEqual(101);
  holdUp(6);
  await clock.advance(200);
  looks = 0;
  await clock.advance(200);
  expect(looks).toBe(20);
  await clock.advance(1_000);
  looks = 0;
  await clock.advance(1_000);
  expect(looks).toBe(10);
  meter.stop();
});
