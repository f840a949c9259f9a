/** How many workers keep a share of requests within limits, by what requests cost. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { spreadOut } from "../../../../actors/planner/propose-tail/log-normal.ts";
import { needOf } from "../../../../actors/planner/propose-tail/need.ts";
import { ENDLESS, expected, type Work } from "../../../../actors/planner/propose-tail/work.ts";
import { plan_config } from "../../../support/planner/plan-cases.ts";

const config = { ...plan_config, ttft_ms: 500, itl_ms: 50, max_workers: 128 };

const work = (requests_per_s: number, parts: Partial<Work> = {}): Work => ({
  ...{ requests_per_s, token: 0.02, prefill: 120, prefill_passes: 1, decode: 80, decode_pass: 6 },
  promptMs: (tokens) => 16 + 0.02 * tokens,
  ...parts,
});
const spreads = { own: spreadOut(Math.log(100), 0.6), itl_sigma: 0.2 };
const sides = { role: "aggregated", config, spreads, lost_scale: 1 } as const;

test("endless workers leave what requests are by themselves", () => {
  const alone = expected(work(20), ENDLESS, spreads, config);
  expect(alone.itl_ms).toBeCloseTo(6, 3);
  // A decode pass is carried along, and half of one is under way.
  const left_ms = 500 - 1.5 * 6;
  const own = spreads.own.filter((ms) => ms <= left_ms).length / spreads.own.length;
  expect(Math.abs(alone.ttft_share - own)).toBeLessThan(0.02);
});

test("more workers never make a share smaller, and no share leaves 0 to 1", () => {
  fc.assert(
    fc.property(
      fc.record({
        rate: fc.double({ min: 0.1, max: 200, noNaN: true }),
        prefill: fc.double({ min: 1, max: 2_000, noNaN: true }),
        decode: fc.double({ min: 0, max: 2_000, noNaN: true }),
        sigma: fc.double({ min: 0.05, max: 2, noNaN: true }),
        workers: fc.integer({ min: 1, max: 100 }),
      }),
      ({ rate, prefill, decode, sigma, workers }) => {
        const own = spreadOut(Math.log(prefill) - (sigma * sigma) / 2, sigma);
        const at = (count: number) =>
          expected(work(rate, { prefill, decode }), count, { own, itl_sigma: 0.2 }, config);
        const [fewer, more] = [at(workers), at(workers + 1)];
        for (const field of ["ttft_share", "itl_share"] as const) {
          expect(fewer[field]).toBeGreaterThanOrEqual(0);
          expect(more[field]).toBeLessThanOrEqual(1 + 1e-9);
          expect(more[field]).toBeGreaterThanOrEqual(fewer[field] - 1e-9);
        }
      },
    ),
  );
});

test("the need is the fewest that keep what is planned for", () => {
  fc.assert(
    fc.property(fc.double({ min: 0.5, max: 100, noNaN: true }), (rate) => {
      const need = needOf(work(rate), sides);
      expect(need.share).toBeGreaterThanOrEqual(need.aim - 1e-9);
      expect(need.aim).toBeGreaterThan(need.goal);
      if (need.workers === 1) return;
      const fewer = expected(work(rate), need.workers - 1, spreads, config);
      expect(fewer.ttft_share * fewer.itl_share).toBeLessThan(need.aim);
    }),
  );
});

test("what was lost beyond what was thought asks for more, and less for fewer", () => {
  const need = (lost_scale: number) => needOf(work(60), { ...sides, lost_scale }).workers;
  expect(need(8)).toBeGreaterThan(need(1));
  expect(need(0.5)).toBeLessThanOrEqual(need(1));
});

test("a limit that prompts by themselves exceed is asked of the others alone", () => {
  const own = spreadOut(Math.log(300), 0.8);
  const need = needOf(work(20), { ...sides, spreads: { own, itl_sigma: 0.2 } });
  expect(need.best).toBeLessThan(0.8);
  expect(need.goal).toBeCloseTo(0.95 * need.best, 9);
  expect(need.workers).toBeLessThan(25);
});
