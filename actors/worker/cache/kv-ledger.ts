/**
 * All blocks in a worker's cache, by rank and tier. They can be read page by page while the cache
 * changes. A page is a slice of a dense row; the last block takes the place of a removed one.
 *
 * Pages go from the end of a row to its beginning, and a block only moves towards the beginning. So
 * each block that stays cached is in at least one page, and pages of different moments, together
 * with the events since the first page, make the whole.
 */
import { BlockTable, type HashPairs, pairsOf } from "../../../llm/blocks/block-table.ts";
import type { KvEvent, KvTier } from "../../../llm/blocks/kv-event.ts";

/** The blocks of one data-parallel rank in one tier. */
type Partition = {
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
  /** Where the next page begins; undefined: this was the last one. */
  readonly next: { readonly partition: number; readonly below: number } | undefined;
};

const ROW_WORDS_MIN = 128;

export class KvLedger {
  readonly #partitions: Partition[] = [];

  blocksIn(tier: KvTier): number {
    const partitions = this.#partitions.filter((partition) => partition.tier === tier);
    return partitions.reduce((sum, { count }) => sum + count, 0);
  }

  get blocks(): number {
    return this.#partitions.reduce((sum, partition) => sum + partition.count, 0);
  }

  apply(event: KvEvent): void {
    const partition = this.#partition(event.dp_rank, event.tier);
    if (event.kind === "stored") store(partition, pairsOf(event.sequence_hashes));
    else if (event.kind === "removed") remove(partition, pairsOf(event.sequence_hashes));
    else clear(partition);
  }

  /** How many of these blocks are in the tier, from the first on without a gap. */
  row(dp_rank: number, tier: KvTier, hashes: BigUint64Array): number {
    const { places } = this.#partition(dp_rank, tier);
    const pairs = pairsOf(hashes);
    let at = 0;
    while (at < pairs.length && places.find(pairs[at]! | 0, pairs[at + 1]! | 0) >= 0) at += 2;
    return at / 2;
  }

  /** At most `limit` blocks. `below` 0 = from the end of the partition's row. */
  page(number: number, below: number, limit: number): LedgerPage | undefined {
    const partition = this.#partitions[number];
    if (partition === undefined) return undefined;
    const end = below === 0 ? partition.count : Math.min(below, partition.count);
    const begin = Math.max(0, end - limit);
    const { dp_rank, tier } = partition;
    const hashes = partition.row.slice(2 * begin, 2 * end);
    if (begin > 0) return { dp_rank, tier, hashes, next: { partition: number, below: begin } };
    const last = number + 1 >= this.#partitions.length;
    const next = last ? undefined : { partition: number + 1, below: 0 };
    return { dp_rank, tier, hashes, next };
  }

  #partition(dp_rank: number, tier: KvTier): Partition {
    const known = this.#partitions.find((each) => each.dp_rank === dp_rank && each.tier === tier);
    if (known !== undefined) return known;
    const row = new Uint32Array(ROW_WORDS_MIN);
    const made = { dp_rank, tier, places: new BlockTable(), row, count: 0 };
    this.#partitions.push(made);
    return made;
  }
}

function store(partition: Partition, hashes: HashPairs): void {
  for (let i = 0; i < hashes.length; i += 2) {
    const lo = hashes[i]!;
    const hi = hashes[i + 1]!;
    const at = partition.places.claim(lo | 0, hi | 0) + 2;
    if (partition.places.cells[at] !== 0) continue;
    partition.places.cells[at] = partition.count + 1;
    if (2 * partition.count === partition.row.length)
      partition.row = resized(partition, 2 * partition.row.length);
    partition.row[2 * partition.count] = lo;
    partition.row[2 * partition.count + 1] = hi;
    partition.count++;
  }
}

function remove(partition: Partition, hashes: HashPairs): void {
  const { places } = partition;
  for (let i = 0; i < hashes.length; i += 2) {
    const at = places.find(hashes[i]! | 0, hashes[i + 1]! | 0);
    if (at < 0) continue;
    const hole = places.cells[at + 2]! - 1;
    places.removeAt(at);
    const last = --partition.count;
    if (hole === last) continue;
    const lo = partition.row[2 * last]!;
    const hi = partition.row[2 * last + 1]!;
    partition.row[2 * hole] = lo;
    partition.row[2 * hole + 1] = hi;
    places.set(lo | 0, hi | 0, hole + 1);
  }
  const { length } = partition.row;
  if (length > ROW_WORDS_MIN && 8 * partition.count < length)
    partition.row = resized(partition, length / 2);
}

function clear(partition: Partition): void {
  partition.places.clear();
  partition.count = 0;
  partition.row = new Uint32Array(ROW_WORDS_MIN);
}

function resized(partition: Partition, words: number): Uint32Array {
  const row = new Uint32Array(words);
  row.set(partition.row.subarray(0, 2 * partition.count));
  return row;
}
