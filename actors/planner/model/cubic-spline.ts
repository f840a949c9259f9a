/**
 * The cubic spline through points, with the third derivative continuous at the second and the last
 * but one (not-a-knot): what `scipy.interpolate.interp1d(kind="cubic")` makes. Of fewer than four
 * points, where scipy has none: the polynomial through them.
 */

export type SplinePoint = readonly [at: number, value: number];

/** Clamped to the range of the points, of which there is one at least; equal ones are averaged. */
export function cubicSpline(points: readonly SplinePoint[]): (at: number) => number {
  const ordered = distinct(points);
  const x = ordered.map(([at]) => at);
  const y = ordered.map(([, value]) => value);
  const last = x.length - 1;
  const inRange = (at: number) => Math.min(Math.max(at, x[0]!), x[last]!);
  if (x.length < 4) return (at) => polynomial(x, y, inRange(at));
  const slopes = slopesOf(x, y);
  return (given) => {
    const at = inRange(given);
    let i = 0;
    while (i < last - 1 && at >= x[i + 1]!) i++;
    const width = x[i + 1]! - x[i]!;
    const t = (at - x[i]!) / width;
    const rest = 1 - t;
    return (
      y[i]! * rest * rest * (1 + 2 * t) +
      y[i + 1]! * t * t * (3 - 2 * t) +
      width * t * rest * (slopes[i]! * rest - slopes[i + 1]! * t)
    );
  };
}

function distinct(points: readonly SplinePoint[]): SplinePoint[] {
  const by_place = Map.groupBy(points, ([at]) => at);
  return [...by_place]
    .sort(([a], [b]) => a - b)
    .map(([at, there]) => [at, there.reduce((sum, [, value]) => sum + value, 0) / there.length]);
}

/** Lagrange's form. */
function polynomial(x: readonly number[], y: readonly number[], at: number): number {
  return y.reduce((sum, value, i) => {
    const share = x.reduce(
      (product, other, j) => (j === i ? product : (product * (at - other)) / (x[i]! - other)),
      1,
    );
    return sum + share * value;
  }, 0);
}

/** The spline's slopes at its points: a system with three diagonals, solved from top to bottom. */
function slopesOf(x: readonly number[], y: readonly number[]): number[] {
  const n = x.length;
  const width = (i: number) => x[i + 1]! - x[i]!;
  const rise = (i: number) => (y[i + 1]! - y[i]!) / width(i);
  const below = new Array<number>(n).fill(0);
  const diagonal = new Array<number>(n).fill(0);
  const above = new Array<number>(n).fill(0);
  const right = new Array<number>(n).fill(0);
  const first = x[2]! - x[0]!;
  diagonal[0] = width(1);
  above[0] = first;
  right[0] = ((width(0) + 2 * first) * width(1) * rise(0) + width(0) ** 2 * rise(1)) / first;
  for (let i = 1; i < n - 1; i++) {
    below[i] = width(i);
    diagonal[i] = 2 * (width(i - 1) + width(i));
    above[i] = width(i - 1);
    right[i] = 3 * (width(i) * rise(i - 1) + width(i - 1) * rise(i));
  }
  const final = x[n - 1]! - x[n - 3]!;
  below[n - 1] = final;
  diagonal[n - 1] = width(n - 3);
  right[n - 1] =
    (width(n - 2) ** 2 * rise(n - 3) + (2 * final + width(n - 2)) * width(n - 3) * rise(n - 2)) /
    final;
  for (let i = 1; i < n; i++) {
    const factor = below[i]! / diagonal[i - 1]!;
    diagonal[i]! -= factor * above[i - 1]!;
    right[i]! -= factor * right[i - 1]!;
  }
  const slopes = new Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    slopes[i] = (right[i]! - above[i]! * (slopes[i + 1] ?? 0)) / diagonal[i]!;
  }
  return slopes;
}
