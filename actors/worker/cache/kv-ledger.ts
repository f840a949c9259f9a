/**
 * What a worker's cache holds now, by rank and tier, so that it can be read out page by page while
 * it changes. A page is a slice of a dense row: a removed block's place is taken by the last one.
 *
 * Pages go from the end of a row to its beginning. A block that nothing happened to is in one of
 * them for certain: it only ever moves down into the place of a removed one, to where the reader is
 * yet to come, or from where he has been. So pages of different moments, and the events since the
 * first of them, make the whole.
 */
import { BlockTable, type HashPairs, pairsOf } from "../../../llm/blocks/block-table.ts";
import type { KvEvent, KvTier } from "../../../llm/blocks/kv-event.ts";

type Lane = {
  readonly dp_rank: number;
  readonly tier: KvTier;
  /** Place in `row` + 1. */
  readonly places: BlockTable;
  row: Uint32Array;
  count: number;
};

export type LedgerPage = {
  readonly dp_rank: number;
  readonly tier: KvTier;
  readonly hashes: HashPairs;
  /** Where the next page begins, undefined after the last. */
  readonly next: { readonly lane: number; readonly below: number } | undefined;
};

const ROW_WORDS_MIN = 128;

export class KvLedger {
  readonly #lanes: Lane[] = [];

  get blocks(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.count, 0);
  }

  apply(event: KvEvent): void {
    const lane = this.#lane(event.dp_rank, event.tier);
    if (event.kind === "stored") store(lane, pairsOf(event.sequence_hashes));
    else if (event.kind === "removed") remove(lane, pairsOf(event.sequence_hashes));
    else clear(lane);
  }

  /** At most `limit` blocks. `below` 0 = from the end of the lane's row. */
  page(lane_number: number, below: number, limit: number): LedgerPage | undefined {
    const lane = this.#lanes[lane_number];
    if (lane === undefined) return undefined;
    const end = below === 0 ? lane.count : Math.min(below, lane.count);
    const begin = Math.max(0, end - limit);
    const { dp_rank, tier } = lane;
    const hashes = lane.row.slice(2 * begin, 2 * end);
    if (begin > 0) return { dp_rank, tier, hashes, next: { lane: lane_number, below: begin } };
    const last = lane_number + 1 >= this.#lanes.length;
    const next = last ? undefined : { lane: lane_number + 1, below: 0 };
    return { dp_rank, tier, hashes, next };
  }

  #lane(dp_rank: number, tier: KvTier): Lane {
    const known = this.#lanes.find((each) => each.dp_rank === dp_rank && each.tier === tier);
    if (known !== undefined) return known;
    const row = new Uint32Array(ROW_WORDS_MIN);
    const made = { dp_rank, tier, places: new BlockTable(), row, count: 0 };
    this.#lanes.push(made);
    return made;
  }
}

function store(lane: Lane, hashes: HashPairs): void {
  for (let i = 0; i < hashes.length; i += 2) {
    const lo = hashes[i]!;
    const hi = hashes[i + 1]!;
    const at = lane.places.claim(lo | 0, hi | 0) + 2;
    if (lane.places.cells[at] !== 0) continue;
    lane.places.cells[at] = lane.count + 1;
    if (2 * lane.count === lane.row.length) lane.row = resized(lane, 2 * lane.row.length);
    lane.row[2 * lane.count] = lo;
    lane.row[2 * lane.count + 1] = hi;
    lane.count++;
  }
}

function remove(lane: Lane, hashes: HashPairs): void {
  const { places } = lane;
  for (let i = 0; i < hashes.length; i += 2) {
    const at = places.find(hashes[i]! | 0, hashes[i + 1]! | 0);
    if (at < 0) continue;
    const hole = places.cells[at + 2]! - 1;
    places.removeAt(at);
    const last = --lane.count;
    if (hole === last) continue;
    const lo = lane.row[2 * last]!;
    const hi = lane.row[2 * last + 1]!;
    lane.row[2 * hole] = lo;
    lane.row[2 * hole + 1] = hi;
    places.set(lo | 0, hi | 0, hole + 1);
  }
  const { length } = lane.row;
  if (length > ROW_WORDS_MIN && 8 * lane.count < length) lane.row = resized(lane, length / 2);
}

function clear(lane: Lane): void {
  lane.places.clear();
  lane.count = 0;
  lane.row = new Uint32Array(ROW_WORDS_MIN);
}

function resized(lane: Lane, words: number): Uint32Array {
  const row = new Uint32Array(words);
  row.set(lane.row.subarray(0, 2 * lane.count));
  return row;
}
