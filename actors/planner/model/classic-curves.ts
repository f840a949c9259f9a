/**
 * What Dynamo's classic planner (0.5) reads out of a profile, `utils/perf_interpolation.py`: TTFT
 * and throughput over the prompt's length, ITL and throughput over the share of KV tokens in use
 * and the context length. Throughputs are tokens a second and GPU.
 */
import { roundedToEven } from "../rounded-to-even.ts";
import { nearestTo, type SurfacePoint, surfaceThrough } from "./clough-tocher.ts";
import { cubicSpline } from "./cubic-spline.ts";
import type { Curves } from "./curves.ts";

/** Cells of the grid along each of its axes. */
const CELLS = 100;

export type DecodePlace = {
  readonly itl_ms: number;
  readonly thpt_per_gpu: number;
  readonly kv_usage: number;
};

export type ClassicCurves = {
  ttftMs(isl: number): number;
  prefillThroughput(isl: number): number;
  /** @param concurrency requests of one worker */
  itlMs(concurrency: number, context_length: number): number;
  decodeThroughput(concurrency: number, context_length: number): number;
  /**
   * The fullest cell whose ITL is within the limit; the emptiest one where none is. Not by halving,
   * as an interpolated surface need not rise.
   */
  bestDecode(itl_ms: number, context_length: number): DecodePlace;
};

/** Undefined: the curves have no points of one kind. Takes some ms: made once. */
export function classicCurves(curves: Curves): ClassicCurves | undefined {
  const { prefill, decode, max_kv_tokens } = curves;
  if (prefill.length === 0 || decode.length === 0) return undefined;
  const ttftMs = cubicSpline(prefill.map(({ isl, ttft_ms }) => [isl, ttft_ms]));
  const prefillThroughput = cubicSpline(prefill.map((point) => [point.isl, point.thpt_per_gpu]));
  const context_max = Math.max(...decode.map(({ context_length }) => context_length));
  const gridOf = (value: (point: Curves["decode"][number]) => number) =>
    grid(
      decode.map((point) => ({
        x: point.kv_usage,
        y: point.context_length,
        value: value(point),
      })),
      context_max,
    );
  const itl = gridOf(({ itl_ms }) => itl_ms);
  const throughput = gridOf(({ thpt_per_gpu }) => thpt_per_gpu);
  const column = (concurrency: number, context: number) =>
    cell((concurrency * context) / max_kv_tokens);
  const row = (context: number) => cell(context_max > 0 ? context / context_max : 0);
  return {
    ttftMs,
    prefillThroughput,
    itlMs: (concurrency, context) => itl[row(context)]![column(concurrency, context)]!,
    decodeThroughput: (concurrency, context) =>
      throughput[row(context)]![column(concurrency, context)]!,
    bestDecode(itl_ms, context) {
      const itls = itl[row(context)]!;
      let at = CELLS - 1;
      while (at > 0 && !(itls[at]! <= itl_ms)) at--;
      const thpt_per_gpu = throughput[row(context)]![at]!;
      return { itl_ms: itls[at]!, thpt_per_gpu, kv_usage: at / (CELLS - 1) };
    },
  };
}

/** Rows by context length, 0 to the longest; in each the shares, 0 to 1. */
function grid(points: readonly SurfacePoint[], context_max: number): Float64Array[] {
  const surface = surfaceThrough(points);
  return Array.from({ length: CELLS }, (_, row) => {
    const y = (row / (CELLS - 1)) * context_max;
    return Float64Array.from({ length: CELLS }, (_, column) => {
      const x = column / (CELLS - 1);
      return surface(x, y) ?? nearestTo(points, x, y);
    });
  });
}

/** The cell of a share. */
function cell(share: number): number {
  return Math.min(Math.max(roundedToEven(share * (CELLS - 1)), 0), CELLS - 1);
}
