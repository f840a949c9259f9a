/** Made-up traces whose rate changes over their time. */
import { expect, test } from "bun:test";
import { readSyntheticOptions, syntheticTrace } from "../../bench/replay/synthetic.ts";

const traceOf = (text: string) => syntheticTrace(readSyntheticOptions(text), 512);

/** Arrivals a second between two moments. */
function rate(trace: ReturnType<typeof traceOf>, from_s: number, until_s: number): number {
  const inside = trace.filter(({ arrival_ms = -1 }) => {
    return arrival_ms >= 1_000 * from_s && arrival_ms < 1_000 * until_s;
  });
  return inside.length / (until_s - from_s);
}

test("a sine goes from low to high and back in each period, and ends with the last one", () => {
  const trace = traceOf("rate=5,shape=sine,low=5,high=45,period_s=600,periods=2,seed=3");
  for (const period of [0, 600]) {
    expect(rate(trace, period, period + 30)).toBeWithin(4, 7);
    expect(rate(trace, period + 285, period + 315)).toBeWithin(42, 48);
    expect(rate(trace, period + 570, period + 600)).toBeWithin(4, 7);
  }
  // The mean of both.
  expect(rate(trace, 0, 1_200)).toBeWithin(24, 26);
  expect(trace.at(-1)!.arrival_ms).toBeLessThan(1_200_000);
});

test("a burst multiplies the rate for a time, a step for good", () => {
  const burst = traceOf("rate=4,shape=burst,factor=10,at_s=100,for_s=50,seconds=400");
  expect(rate(burst, 0, 100)).toBeWithin(3, 5);
  expect(rate(burst, 100, 150)).toBeWithin(36, 44);
  expect(rate(burst, 150, 400)).toBeWithin(3, 5);
  const step = traceOf("rate=4,shape=step,high=20,at_s=100,seconds=300");
  expect(rate(step, 0, 100)).toBeWithin(3, 5);
  expect(rate(step, 100, 300)).toBeWithin(18, 22);
});

test("the seed makes the trace; requests is the most, if it is given; sessions keep their turns", () => {
  const text = "rate=20,shape=step,high=40,at_s=10,seconds=60";
  expect(traceOf(`${text},seed=2`)).toEqual(traceOf(`${text},seed=2`));
  expect(traceOf(`${text},seed=2`)).not.toEqual(traceOf(`${text},seed=3`));
  expect(traceOf(`${text},requests=50`)).toHaveLength(50);
  const sessions = traceOf(`${text},turns=3`);
  expect(sessions.filter(({ after }) => after.length === 1).length).toBe((2 * sessions.length) / 3);
});

test.each([
  ["shape=triangle", "unknown shape triangle; there are sine, burst, step"],
  ["low=5", "low belongs to shape=sine|burst|step: give a shape, too"],
  ["shape=burst,factor=0", "factor must be above 0"],
  ["shape=sine,periods=many", 'periods must be a number from 0 to 1000000000, not "many"'],
])("%s: %s", (text, message) => {
  expect(() => readSyntheticOptions(text)).toThrow(message);
});
