/** The known name at most two edits away, for "did you mean". */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let best_edits = 3;
  for (const candidate of known) {
    const edits = editDistance(name, candidate);
    if (edits < best_edits) [best, best_edits] = [candidate, edits];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same);
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
