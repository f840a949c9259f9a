/** The classic planner's interpolation, against scipy's (interpolation-reference.py). */
import { describe, expect, test } from "bun:test";
import { classicCurves } from "../../../../actors/planner/model/classic-curves.ts";
import { nearestTo, surfaceThrough } from "../../../../actors/planner/model/clough-tocher.ts";
import { cubicSpline } from "../../../../actors/planner/model/cubic-spline.ts";
import type { Curves, DecodePoint } from "../../../../actors/planner/model/curves.ts";
import references from "../../../support/planner/interpolation-reference.json";

const near = (found: number, expected: number) =>
  expect(Math.abs(found - expected) / Math.max(1e-9, Math.abs(expected))).toBeLessThan(1e-9);

describe("one axis", () => {
  test.each(references.lines.map((line) => [line.x.length, line] as const))(
    "%d points",
    (_, { x, y, at, values }) => {
      const spline = cubicSpline(x.map((place, i) => [place, y[i]!]));
      for (const [i, place] of at.entries()) near(spline(place), values[i]!);
    },
  );

  test.each([
    [
      "one point",
      [[3, 7]],
      [
        [0, 7],
        [9, 7],
      ],
    ],
    [
      "two",
      [
        [1, 10],
        [3, 20],
      ],
      [
        [0, 10],
        [2, 15],
        [9, 20],
      ],
    ],
    [
      "three: a parabola",
      [
        [1, 1],
        [2, 4],
        [4, 16],
      ],
      [
        [3, 9],
        [1.5, 2.25],
        [9, 16],
      ],
    ],
    [
      "equal places are averaged",
      [
        [1, 10],
        [3, 10],
        [3, 30],
      ],
      [[2, 15]],
    ],
  ] as [string, [number, number][], [number, number][]][])("%s", (_, points, expected) => {
    const spline = cubicSpline(points);
    for (const [at, value] of expected) expect(spline(at)).toBeCloseTo(value, 9);
  });
});

const curvesOf = (surface: (typeof references.surfaces)[number]): Curves => ({
  prefill: [{ isl: 1, ttft_ms: 1, thpt_per_gpu: 1 }],
  decode: surface.kv_usage.map(
    (kv_usage, i): DecodePoint => ({
      kv_usage,
      context_length: surface.context_length[i]!,
      itl_ms: surface.itl_ms[i]!,
      thpt_per_gpu: surface.thpt_per_gpu[i]!,
    }),
  ),
  max_kv_tokens: surface.max_kv_tokens,
});

describe("two axes, on 100 × 100 cells", () => {
  test.each(references.surfaces.map((surface) => [surface.kv_usage.length, surface] as const))(
    "%d points, holes filled by the nearest",
    (_, surface) => {
      const curves = classicCurves(curvesOf(surface))!;
      const longest = Math.max(...surface.context_length);
      for (const [row, column, itl_ms, thpt_per_gpu] of surface.cells) {
        const context = (row! / 99) * longest;
        const concurrency = row === 0 ? 0 : ((column! / 99) * surface.max_kv_tokens) / context;
        // Contexts of no length have no share of the cache.
        if (row === 0 && column !== 0) continue;
        near(curves.itlMs(concurrency, context), itl_ms!);
        near(curves.decodeThroughput(concurrency, context), thpt_per_gpu!);
      }
      // Both of the profiled range's ends, and beyond.
      expect(curves.itlMs(1e9, 1e9)).toBe(curves.itlMs(surface.max_kv_tokens / longest, longest));
    },
  );

  test("of points on one line there is no surface: the nearest one counts", () => {
    const points = [0.1, 0.5, 0.9].map((x) => ({ x, y: 1_000, value: 10 * x }));
    expect(surfaceThrough(points)(0.3, 1_000)).toBeUndefined();
    expect(nearestTo(points, 0.31, 1_000)).toBe(5);
    const curves = classicCurves({
      prefill: [{ isl: 1, ttft_ms: 1, thpt_per_gpu: 1 }],
      decode: [0.1, 0.5, 0.9].map((kv_usage) => ({
        kv_usage,
        context_length: 1_000,
        itl_ms: 10 * kv_usage,
        thpt_per_gpu: 100 * kv_usage,
      })),
      max_kv_tokens: 10_000,
    });
    expect(curves?.itlMs(9, 1_000)).toBe(9);
  });

  test("the fullest cell within the limit is searched from the full end", () => {
    // Falls in the middle: by halving, 0.9 would not be found.
    const itls = [4, 9, 3, 12];
    const decode = [0, 0.3, 0.6, 1].flatMap((kv_usage, i) =>
      [0, 1_000, 2_100].map((context_length) => ({
        kv_usage,
        context_length,
        itl_ms: itls[i]!,
        thpt_per_gpu: 100 * i,
      })),
    );
    const curves = classicCurves({
      prefill: [{ isl: 1, ttft_ms: 1, thpt_per_gpu: 1 }],
      decode,
      max_kv_tokens: 10_000,
    })!;
    expect(curves.bestDecode(5, 1_000).kv_usage).toBeGreaterThan(0.6);
    expect(curves.bestDecode(5, 1_000).itl_ms).toBeLessThanOrEqual(5);
    expect(curves.bestDecode(100, 1_000)).toMatchObject({ kv_usage: 1 });
    expect(curves.bestDecode(0.1, 1_000)).toMatchObject({ kv_usage: 0 });
  });

  test("no points of a kind, no curves", () => {
    expect(classicCurves({ prefill: [], decode: [], max_kv_tokens: 1 })).toBeUndefined();
  });
});
