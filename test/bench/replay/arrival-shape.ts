/** How many requests a second come to a made-up trace, over its time: swings, bursts and steps. */
import type { Random } from "../../../runtime/capabilities.ts";

export type ArrivalShape =
  /** From `low` to `high` and back within each period, as a cosine. Requests a second. */
  | {
      readonly kind: "sine";
      readonly low: number;
      readonly high: number;
      readonly period_s: number;
      readonly periods: number;
    }
  /** `factor` times the rate from `at_s` on for `for_s` seconds. */
  | {
      readonly kind: "burst";
      readonly rate: number;
      readonly factor: number;
      readonly at_s: number;
      readonly for_s: number;
      readonly seconds: number;
    }
  /** `high` from `at_s` on. */
  | {
      readonly kind: "step";
      readonly low: number;
      readonly high: number;
      readonly at_s: number;
      readonly seconds: number;
    };

export const shapeKinds = ["sine", "burst", "step"] as const;
export type ShapeKind = (typeof shapeKinds)[number];

/** Keys of shapes and what they are where they are not given; 0: it depends on others. */
export const shapeDefaults = {
  low: 0,
  high: 45,
  period_s: 600,
  periods: 1,
  factor: 10,
  at_s: 60,
  for_s: 60,
  seconds: 0,
} as const;
export type ShapeKeys = { readonly [Key in keyof typeof shapeDefaults]: number };

/** After a burst or a step, so that a trace shows what becomes of it. */
const REST_S = 300;

/** @param rate stands for a `low` that is not given */
export function arrivalShape(kind: ShapeKind, keys: ShapeKeys, rate: number): ArrivalShape {
  const { high, period_s, periods, factor, at_s, for_s } = keys;
  const low = keys.low || rate;
  if (kind === "sine") return { kind, low, high, period_s, periods };
  const ends_s = at_s + (kind === "burst" ? for_s : 0);
  const seconds = keys.seconds || ends_s + REST_S;
  return kind === "burst"
    ? { kind, rate, factor, at_s, for_s, seconds }
    : { kind, low, high, at_s, seconds };
}

/** Requests a second at that time. */
export function rateAt(shape: ArrivalShape, s: number): number {
  if (shape.kind === "step") return s < shape.at_s ? shape.low : shape.high;
  if (shape.kind === "burst") {
    const { rate, factor, at_s, for_s } = shape;
    return s >= at_s && s < at_s + for_s ? rate * factor : rate;
  }
  const { low, high, period_s } = shape;
  return low + ((high - low) * (1 - Math.cos((2 * Math.PI * s) / period_s))) / 2;
}

const secondsOf = (shape: ArrivalShape) =>
  shape.kind === "sine" ? shape.period_s * shape.periods : shape.seconds;

function highestRate(shape: ArrivalShape): number {
  if (shape.kind === "burst") return shape.rate * Math.max(1, shape.factor);
  return Math.max(shape.low, shape.high);
}

/** How many arrivals are drawn for a whole trace, of which some come. */
export const arrivalsMost = (shape: ArrivalShape): number => highestRate(shape) * secondsOf(shape);

/** The next arrival after `now_ms`, by chance; undefined: the trace is over. */
export function nextArrivalMs(
  shape: ArrivalShape,
  now_ms: number,
  random: Random,
): number | undefined {
  const end_ms = 1_000 * secondsOf(shape);
  const most = highestRate(shape);
  // Arrivals at the highest rate, of which each stays with the chance that its moment has.
  for (let at_ms = now_ms; ; ) {
    at_ms += (-Math.log(1 - random.unit()) * 1_000) / most;
    if (at_ms >= end_ms) return undefined;
    if (random.unit() * most < rateAt(shape, at_ms / 1_000)) return at_ms;
  }
}

/** Moments of a trace at which its load changes at once, and how long a period is. */
export type ShapeMarks = { readonly jump_ms?: number; readonly period_ms?: number };

export function shapeMarks(shape: ArrivalShape | undefined): ShapeMarks {
  if (shape === undefined) return {};
  if (shape.kind === "sine") return { period_ms: 1_000 * shape.period_s };
  return { jump_ms: 1_000 * shape.at_s };
}
