/** Dense systems of linear equations, of the few dozen unknowns that predictors have. */

export type Matrix = readonly (readonly number[])[];

/** x with `matrix` x = `right`, by elimination with pivots; undefined: it has no one solution. */
export function solved(matrix: Matrix, right: readonly number[]): readonly number[] | undefined {
  const size = right.length;
  const rows = matrix.map((row, i) => Float64Array.from([...row, right[i] ?? 0]));
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++) {
      if (Math.abs(rows[row]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = row;
    }
    const top = rows[pivot]!;
    if (!(Math.abs(top[column]!) > 1e-300)) return undefined;
    rows[pivot] = rows[column]!;
    rows[column] = top;
    for (let row = column + 1; row < size; row++) {
      const below = rows[row]!;
      const share = below[column]! / top[column]!;
      if (share === 0) continue;
      for (let at = column; at <= size; at++) below[at]! -= share * top[at]!;
    }
  }
  const found = new Array<number>(size).fill(0);
  for (let row = size - 1; row >= 0; row--) {
    let left = rows[row]![size]!;
    for (let at = row + 1; at < size; at++) left -= rows[row]![at]! * found[at]!;
    found[row] = left / rows[row]![row]!;
  }
  return found.every(Number.isFinite) ? found : undefined;
}

/** The coefficients of `columns` whose sum is nearest to `wanted`, by squares. */
export function leastSquares(
  columns: Matrix,
  wanted: readonly number[],
): readonly number[] | undefined {
  const dot = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
  const products = columns.map((left) => columns.map((right) => dot(left, right)));
  // A hair of ridge: columns that say the same share a coefficient and no equation is lost.
  const most = Math.max(...products.map((row, i) => row[i] ?? 0), 0);
  const ridged = products.map((row, i) => row.map((v, j) => (i === j ? v + 1e-12 * most : v)));
  return solved(
    ridged,
    columns.map((column) => dot(column, wanted)),
  );
}
