import { expect, test } from "bun:test";
import { Allowance, sparingly } from "../../../runtime/allowance.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";

test("so many at once, and then one for each span", async () => {
  const clock = new VirtualClock();
  const allowance = new Allowance(clock, { at_once: 2, each_ms: 100 });
  const take = (times: number) => Array.from({ length: times }, () => allowance.take());
  expect(take(3)).toEqual([true, true, false]);
  await clock.advance(99);
  expect(take(1)).toEqual([false]);
  await clock.advance(1);
  expect(take(2)).toEqual([true, false]);
  allowance.giveBack();
  expect(take(2)).toEqual([true, false]);
  await clock.advance(10_000);
  expect(take(3)).toEqual([true, true, false]);
});

test("who asks too often, or at the same time, gets the answer that there is", async () => {
  const clock = new VirtualClock();
  let made = 0;
  const gates: (() => void)[] = [];
  const ask = sparingly(clock, { at_once: 2, each_ms: 1_000 }, async () => {
    const number = ++made;
    await new Promise<void>((resolve) => gates.push(resolve));
    if (number === 3) throw new Error("third");
    return number;
  });
  const open = async <T>(answers: readonly Promise<T>[]) => {
    for (const gate of gates.splice(0)) gate();
    return Promise.all(answers.map((answer) => answer.catch(() => "failed")));
  };
  expect(await open([ask(), ask(), ask()])).toEqual([1, 1, 1]);
  expect(await open([ask()])).toEqual([2]);
  expect(await open([ask(), ask()])).toEqual([2, 2]);
  await clock.advance(1_000);
  // A failure is not kept for others.
  expect(await open([ask()])).toEqual(["failed"]);
  expect(await open([ask()])).toEqual([4]);
});
