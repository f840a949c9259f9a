import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Span } from "../../../../actors/inspector/page/views/requests/request-row.ts";
import {
  isMark,
  spanLine,
  waterfall,
} from "../../../../actors/inspector/page/views/requests/waterfall.ts";

const span = (name: string, start_ms: number, end_ms: number | null, more: Partial<Span> = {}) => ({
  ...{ name, start_ms, end_ms },
  ...more,
});

test("spans of all answers and of each one have their lanes", () => {
  const { lanes, total_ms, sum_ms } = waterfall(
    [
      span("validate", 0, 10),
      span("route", 10, 20),
      span("prefill", 20, 50, { choice: 1 }),
      span("decode", 50, 100, { choice: 1 }),
      span("prefill", 20, 60, { choice: 0 }),
      span("decode", 60, 80, { choice: 0 }),
    ],
    100,
  );
  expect(total_ms).toBe(100);
  expect(lanes.map(({ choice, rows }) => [choice, rows])).toEqual([
    [undefined, 1],
    [0, 1],
    [1, 1],
  ]);
  const [, , longest] = lanes;
  expect(longest?.bars.map(({ left, width, row }) => [left, width, row])).toEqual([
    [0.2, 0.3, 0],
    [0.5, 0.5, 0],
  ]);
  // 20 ms in common, 80 ms of the longest answer.
  expect(sum_ms).toBe(100);
});

test("what is inside of another span is below it and adds nothing", () => {
  const { lanes, sum_ms } = waterfall(
    [
      span("migration", 10, 40, { choice: 0 }),
      span("route", 12, 20, { choice: 0, inside: "migration" }),
      span("queue", 20, 30, { choice: 0, inside: "migration" }),
      span("decode", 40, 100, { choice: 0 }),
    ],
    100,
  );
  expect(lanes[0]?.bars.map(({ span: { name }, row }) => [name, row])).toEqual([
    ["migration", 0],
    ["route", 1],
    ["queue", 1],
    ["decode", 0],
  ]);
  expect(sum_ms).toBe(90);
  expect(lanes[0]?.bars.map((bar) => isMark(bar.span))).toEqual([true, false, false, false]);
});

test("a part that is told for all answers stands below the first span that it is a part of", () => {
  const { lanes } = waterfall(
    [span("decode", 5, 90, { choice: 0 }), span("parse", 5, 9, { inside: "decode" })],
    90,
  );
  expect(lanes.map(({ choice, bars }) => [choice, bars.map(({ row }) => row)])).toEqual([
    [0, [0, 1]],
  ]);
});

test("a span that is open reaches to now", () => {
  const { lanes, total_ms } = waterfall([span("decode", 5, null, { choice: 0 })], 25);
  const bar = lanes[0]!.bars[0]!;
  expect([total_ms, bar.took_ms, bar.open]).toEqual([25, 20, true]);
  expect(spanLine(bar, (ms) => `${ms} ms`)).toBe("decode of answer 0: from 5 ms, open for 20 ms");
});

test("bars of one row never lie over one another, and all of them are in sight", () => {
  const spans = fc.array(
    fc.record({
      name: fc.constantFrom("queue", "decode"),
      start_ms: fc.nat(1_000),
      length_ms: fc.nat(500),
      choice: fc.option(fc.nat(2), { nil: undefined }),
    }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(spans, (list) => {
      const all = list.map((each) => ({ ...each, end_ms: each.start_ms + each.length_ms }));
      const { lanes, total_ms, ticks } = waterfall(all, 10);
      expect(lanes.flatMap(({ bars }) => bars)).toHaveLength(list.length);
      for (const { bars, rows } of lanes) {
        for (const [at, bar] of bars.entries()) {
          expect(bar.left + bar.width).toBeLessThanOrEqual(1 + 1e-9);
          expect(bar.row).toBeLessThan(rows);
          const behind = bars.slice(at + 1).filter(({ row }) => row === bar.row);
          for (const next of behind) {
            expect(next.left).toBeGreaterThanOrEqual(bar.left + bar.width - 0.02 / total_ms);
          }
        }
      }
      expect(ticks.length).toBeGreaterThan(1);
      expect(ticks.length).toBeLessThan(8);
    }),
  );
});
