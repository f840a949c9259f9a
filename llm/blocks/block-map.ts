/** Slots of blocks as a picture: a byte a slot, or a sample of them. */

/** What a picture of one tier shows at most. */
export const CELLS_MAX = 4_096;

export type TierMap = {
  readonly tier: "G1" | "G2" | "G3";
  readonly slots: number;
  /** Slots that are not free. */
  readonly used: number;
  /** Base64 of a byte a cell: 0 free, 1 being written, 2 kept, 3 in use. */
  readonly cells: string;
};

/** Of more slots than cells, each cell shows the slot in the middle of those it stands for. */
export function sampled(slots: number, stateOf: (slot: number) => number): Uint8Array {
  const cells = new Uint8Array(Math.min(slots, CELLS_MAX));
  const step = slots / cells.length;
  for (let i = 0; i < cells.length; i += 1) cells[i] = stateOf(Math.floor((i + 0.5) * step));
  return cells;
}

/** Cells where only numbers are known and no places: in use, then kept, then free. */
export function cellsOfCounts(slots: number, held: number, kept: number): Uint8Array {
  const cells = new Uint8Array(Math.min(slots, CELLS_MAX));
  const share = slots === 0 ? 0 : cells.length / slots;
  // What is there at all is seen.
  const end = (count: number) => (count <= 0 ? 0 : Math.max(1, Math.round(count * share)));
  const in_use = Math.min(cells.length, end(held));
  const filled = Math.min(cells.length, in_use + end(kept));
  return cells.fill(3, 0, in_use).fill(2, in_use, filled);
}

export const tierMap = (
  tier: TierMap["tier"],
  slots: number,
  used: number,
  cells: Uint8Array,
): TierMap => ({ tier, slots, used, cells: Buffer.from(cells).toString("base64") });
