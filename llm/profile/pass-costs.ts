/**
 * What the parts of an engine's passes cost, out of sums over passes: the costs, none of them below
 * 0, whose sum over the features is nearest to the measured times, by squares.
 */

/** `products` of features, row by row, and of each feature with the times. */
export type NormalEquations = {
  readonly products: ArrayLike<number>;
  readonly targets: ArrayLike<number>;
};

/**
 * One cost a feature; 0 for those that never came, or would cost less than nothing: what such a one
 * stood for is in the others. Undefined: no feature is left.
 * @param ridge against features that always come together; of features scaled to one
 */
export function costsOfFeatures(
  equations: NormalEquations,
  ridge: number,
): readonly number[] | undefined {
  const { products, targets } = equations;
  const features = targets.length;
  const used = Array.from(targets, (_, i) => i).filter((i) => products[features * i + i]! > 0);
  while (used.length > 0) {
    const solved = solvedFor(equations, used, ridge);
    const least = indexOfLeast(solved);
    if (solved[least]! >= 0) {
      return Array.from(targets, (_, i) => solved[used.indexOf(i)] ?? 0);
    }
    used.splice(least, 1);
  }
  return undefined;
}

function indexOfLeast(values: readonly number[]): number {
  let least = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! < values[least]!) least = i;
  return least;
}

/** Gaussian elimination on the chosen features, scaled to a unit diagonal. */
function solvedFor(
  { products, targets }: NormalEquations,
  used: readonly number[],
  ridge: number,
): number[] {
  const features = targets.length;
  const n = used.length;
  const scales = used.map((i) => Math.sqrt(products[features * i + i]!));
  const rows = used.map((i, r) => {
    const row = used.map((j, c) => products[features * i + j]! / (scales[r]! * scales[c]!));
    row[r]! += ridge;
    row.push(targets[i]! / scales[r]!);
    return row;
  });
  for (let pivot = 0; pivot < n; pivot++) {
    for (let r = pivot + 1; r < n; r++) {
      const factor = rows[r]![pivot]! / rows[pivot]![pivot]!;
      for (let c = pivot; c <= n; c++) rows[r]![c]! -= factor * rows[pivot]![c]!;
    }
  }
  const solved = new Array<number>(n).fill(0);
  for (let r = n - 1; r >= 0; r--) {
    let rest = rows[r]![n]!;
    for (let c = r + 1; c < n; c++) rest -= rows[r]![c]! * solved[c]!;
    solved[r] = rest / rows[r]![r]!;
  }
  return solved.map((value, r) => value / scales[r]!);
}
