/** The block map of a tier: bytes → squares in rows; pure. */

/** By byte, as the server sends them. */
export const cellStates = ["free", "partial", "complete", "pinned"] as const;
export type CellState = (typeof cellStates)[number];

export const cellWords: Readonly<Record<CellState, string>> = {
  free: "free",
  partial: "being filled",
  complete: "complete, found by others",
  pinned: "in use, stays",
};

export function cellsOf(base64: string): Uint8Array {
  const text = atob(base64);
  const cells = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) cells[at] = text.charCodeAt(at);
  return cells;
}

export type Grid = {
  readonly columns: number;
  readonly rows: number;
  /** Of a square with the gap behind it, in CSS pixels. */
  readonly pitch: number;
  readonly gap: number;
};

const LARGEST = 16;
const SMALLEST = 4;
const HEIGHT_LIMIT = 260;

/** Squares as large as they may be for the map to fit into `width` and a height that is readable. */
export function gridOf(cells: number, width: number): Grid {
  for (let pitch = LARGEST; ; pitch -= 1) {
    const columns = Math.max(1, Math.floor(width / pitch));
    const rows = Math.max(1, Math.ceil(cells / columns));
    if (rows * pitch <= HEIGHT_LIMIT || pitch === SMALLEST) {
      return { columns, rows, pitch, gap: pitch > 8 ? 2 : 1 };
    }
  }
}

/** Index of the square at a point; undefined: there is none. */
export function cellAt(grid: Grid, cells: number, x: number, y: number): number | undefined {
  const column = Math.floor(x / grid.pitch);
  const row = Math.floor(y / grid.pitch);
  const at = row * grid.columns + column;
  return column >= 0 && column < grid.columns && row >= 0 && at < cells ? at : undefined;
}

export function countsOf(cells: Uint8Array): Readonly<Record<CellState, number>> {
  const counts = { free: 0, partial: 0, complete: 0, pinned: 0 };
  for (const cell of cells) counts[cellStates[cell] ?? "free"] += 1;
  return counts;
}

/** Which slots a square stands for: of large tiers only some slots are sent. */
export function slotsOf(at: number, cells: number, slots: number): string {
  if (cells >= slots || cells === 0) return `slot ${at}`;
  return `slot ${Math.floor((at * slots) / cells)} of ${slots}`;
}

/** The map in words. */
export function mapWords(cells: Uint8Array, slots: number): string {
  const counts = countsOf(cells);
  const sample = cells.length < slots ? ` (a sample of ${cells.length} of ${slots} slots)` : "";
  const parts = cellStates
    .filter((state) => counts[state] > 0)
    .map((state) => `${counts[state]} ${cellWords[state]}`);
  return `${parts.join(", ") || "no slots"}${sample}`;
}
