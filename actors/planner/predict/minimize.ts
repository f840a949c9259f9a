/**
 * The least value of a smooth function of a few numbers, by BFGS: steps along a slope that is bent
 * by what earlier steps told of the curvature. Slopes are taken from differences.
 */

const SLOPE_STEP = 1e-5;
const FLAT = 1e-5;
const SMALL_GAIN = 2.2e-9;
const ENOUGH_GAIN = 1e-4;
const MOST_HALVINGS = 25;

/** A search under way, as plain data: it goes on from here at any later time. */
export type Descent = {
  readonly at: readonly number[];
  readonly value: number;
  readonly slope: readonly number[];
  readonly inverse: readonly (readonly number[])[];
  /** Steps that it took; each costs two values of the function a dimension, and some more. */
  readonly steps: number;
  /** Nothing is gained any more. */
  readonly over: boolean;
};

/** Not finite values of `f` are walls. */
export function descentFrom(f: (at: readonly number[]) => number, at: readonly number[]): Descent {
  const value = f(at);
  const over = at.length === 0 || !Number.isFinite(value);
  const slope = over ? [] : slopeOf(f, at);
  return {
    ...{ at, value, slope, inverse: identity(at.length), steps: 0 },
    over: over || largest(slope) <= FLAT,
  };
}

/** One step on. */
export function stepped(f: (at: readonly number[]) => number, from: Descent): Descent {
  if (from.over) return from;
  const { at, value, slope } = from;
  let { inverse } = from;
  let way = inverse.map((row) => -dot(row, slope));
  if (!(dot(way, slope) < 0)) {
    inverse = identity(at.length);
    way = slope.map((part) => -part);
  }
  const first = from.steps === 0 ? 1 / at.length : 1;
  const next = along(f, at, value, way, dot(way, slope), first);
  const steps = from.steps + 1;
  if (next === undefined) return { ...from, steps, over: true };
  const next_slope = slopeOf(f, next.at);
  const moved = next.at.map((part, i) => part - at[i]!);
  const bent = next_slope.map((part, i) => part - slope[i]!);
  const size = Math.max(Math.abs(value), Math.abs(next.value), 1);
  const small = value - next.value <= SMALL_GAIN * size;
  return {
    ...{ at: next.at, value: next.value, slope: next_slope, steps },
    inverse: updated(inverse, moved, bent),
    over: small || largest(next_slope) <= FLAT,
  };
}

const dot = (a: readonly number[], b: readonly number[]): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

const largest = (values: readonly number[]): number => Math.max(...values.map(Math.abs));

const identity = (size: number): number[][] =>
  Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => Number(i === j)));

function slopeOf(f: (at: readonly number[]) => number, at: readonly number[]): number[] {
  return at.map((part, i) => {
    const step = SLOPE_STEP * Math.max(1, Math.abs(part));
    const up = f(at.with(i, part + step));
    const down = f(at.with(i, part - step));
    const slope = (up - down) / (2 * step);
    return Number.isFinite(slope) ? slope : 0;
  });
}

/** The first of ever smaller steps that gains enough; undefined: none does. */
function along(
  f: (at: readonly number[]) => number,
  at: readonly number[],
  value: number,
  way: readonly number[],
  steepness: number,
  first: number,
): { readonly at: number[]; readonly value: number } | undefined {
  let length = first;
  for (let halving = 0; halving < MOST_HALVINGS; halving++) {
    const there = at.map((part, i) => part + length * way[i]!);
    const found = f(there);
    if (found <= value + ENOUGH_GAIN * length * steepness) return { at: there, value: found };
    length /= 2;
  }
  return undefined;
}

/** BFGS' update of the inverse of the curvature; unchanged where the slope did not turn. */
function updated(
  inverse: Descent["inverse"],
  moved: readonly number[],
  bent: readonly number[],
): Descent["inverse"] {
  const turn = dot(moved, bent);
  if (!(turn > 1e-12)) return inverse;
  const pushed = inverse.map((row) => dot(row, bent));
  const scale = (1 + dot(bent, pushed) / turn) / turn;
  return inverse.map((row, i) =>
    row.map(
      (part, j) =>
        part +
        scale * moved[i]! * moved[j]! -
        (moved[i]! * pushed[j]! + pushed[i]! * moved[j]!) / turn,
    ),
  );
}
