import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  DAY_MS,
  dayOf,
  noUsage,
  type RefusedBy,
  reserve,
  settle,
} from "../../../actors/limits/usage.ts";

const none = {
  requests_per_minute: 0,
  tokens_per_minute: 0,
  requests_at_once: 0,
  tokens_per_day: 0,
};
const at = (s: number) => ({ now_ms: s * 1_000, wall_ms: DAY_MS * 100 + s * 1_000 });

type Step =
  /** At a second: so many tokens, and what is to come of it. */
  | readonly [s: number, tokens: number, refused_by: RefusedBy, retry_s?: number]
  | readonly [s: number, "settle", reservation: number, used: number];

const tables: Readonly<Record<string, readonly [Partial<typeof none>, readonly Step[]]>> = {
  "no limit refuses nothing": [
    {},
    [
      [0, 1e9, ""],
      [0, 1e9, ""],
    ],
  ],
  "requests a minute come back one by one": [
    { requests_per_minute: 2 },
    [
      [0, 1, ""],
      [0, 1, ""],
      [0, 1, "requests", 30],
      [29, 1, "requests", 1],
      [30, 1, ""],
      [90, 1, ""],
      [90, 1, ""],
    ],
  ],
  "a refused request costs nothing": [
    { requests_per_minute: 1, tokens_per_minute: 100 },
    [
      [0, 60, ""],
      [1, 60, "requests", 59],
      [1, 60, "requests", 59],
      [60, 100, ""],
    ],
  ],
  "tokens are counted as they were once the answer has ended": [
    { tokens_per_minute: 100 },
    [
      [0, 90, ""],
      [0, 20, "tokens", 6],
      [0, "settle", 0, 10],
      [0, 90, ""],
      [0, 1, "tokens", 0.6],
    ],
  ],
  "an answer longer than estimated is paid later": [
    { tokens_per_minute: 60 },
    [
      [0, 10, ""],
      [0, "settle", 0, 120],
      [60, 1, "tokens", 1],
      [61, 1, ""],
    ],
  ],
  "more than a minute's tokens never fits": [{ tokens_per_minute: 100 }, [[0, 101, "size", 0]]],
  "answers at once": [
    { requests_at_once: 1 },
    [
      [0, 1, ""],
      [1, 1, "at_once", 1],
      [2, "settle", 0, 1],
      [2, 1, ""],
      [700, 1, ""],
    ],
  ],
  "a day's tokens, until midnight": [
    { tokens_per_day: 100 },
    [
      [0, 80, ""],
      [86_390, 30, "day", 10],
      [86_390, 20, ""],
      [86_400, 100, ""],
    ],
  ],
};

for (const [name, [limits, steps]] of Object.entries(tables)) {
  test(name, () => {
    const usage = noUsage(at(0));
    const days: number[] = [];
    const reserved: number[] = [];
    steps.forEach((step, i) => {
      const [s, what] = step;
      if (what === "settle") {
        const [, , of, used] = step;
        settle(usage, {
          ...{ reservation: `${of}`, reserved: reserved[of] ?? 0, used },
          day: days[of] ?? 0,
        });
        return;
      }
      const [, , refused_by, retry_s = 0] = step;
      const ask = { limits: { ...none, ...limits }, tokens: what, reservation: `${i}` };
      const decision = reserve(usage, { ...ask, lasts_ms: 600_000 }, at(s));
      days[i] = decision.day;
      reserved[i] = what;
      expect([i, decision.refused_by]).toEqual([i, refused_by]);
      expect(decision.retry_after_ms).toBeCloseTo(retry_s * 1_000, 3);
    });
  });
}

test("what is left, and when all of it may be used again", () => {
  const limits = { ...none, requests_per_minute: 60, tokens_per_minute: 600 };
  const usage = noUsage(at(0));
  const ask = { limits, tokens: 100, reservation: "a", lasts_ms: 1 };
  expect(reserve(usage, ask, at(0))).toEqual({
    ...{ refused_by: "", retry_after_ms: 0, day: dayOf(at(0).wall_ms) },
    ...{ requests_left: 59, requests_reset_ms: 1_000, tokens_left: 500, tokens_reset_ms: 10_000 },
  });
  expect(reserve(usage, ask, at(5))).toMatchObject({ requests_left: 59, tokens_left: 450 });
});

test("no span of time sees more than the limit and what drains in it", () => {
  const asks = fc.array(fc.tuple(fc.nat(20_000), fc.integer({ min: 1, max: 40 })), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(asks, fc.integer({ min: 1, max: 200 }), (gaps, limit) => {
      const limits = { ...none, tokens_per_minute: limit, requests_per_minute: limit };
      const usage = noUsage(at(0));
      const admitted: { now_ms: number; tokens: number }[] = [];
      let now_ms = 0;
      for (const [gap_ms, tokens] of gaps) {
        now_ms += gap_ms;
        const ask = { limits, tokens, reservation: `${now_ms}`, lasts_ms: 1 };
        const { refused_by } = reserve(usage, ask, { now_ms, wall_ms: now_ms });
        if (refused_by === "") admitted.push({ now_ms, tokens });
      }
      for (const [first, from] of admitted.entries()) {
        let tokens = 0;
        for (const [count, one] of admitted.slice(first).entries()) {
          tokens += one.tokens;
          const most = limit * (1 + (one.now_ms - from.now_ms) / 60_000) + 1e-3;
          expect(tokens).toBeLessThanOrEqual(most);
          expect(count + 1).toBeLessThanOrEqual(most);
        }
      }
    }),
  );
});
