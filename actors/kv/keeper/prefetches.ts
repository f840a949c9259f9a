/**
 * Rows that a request will read which waits elsewhere: their blocks come from disk and other
 * machines into memory, and stay there until they are asked for, or for a while.
 *
 *   begin ── blocks come ──▶ kept ── somebody asks for the row, or KEEP_MS ──▶ let go
 *
 * A hint only: nobody hears of it, and what is beyond its share of the memory is left out, so that
 * hints never push out what runs. Times are handed in.
 */
import type { Neighbours } from "./neighbours.ts";
import type { Space } from "./spaces.ts";

type Row = {
  readonly name: string;
  readonly space: Space;
  readonly hashes: BigUint64Array;
  readonly lease: number;
  /** Number of the first block that is not here yet. */
  next: number;
  readonly until_ms: number;
  /** Gives up what still comes. */
  cancel: () => void;
};

/** A row is kept so long at most: a request that starts later finds what nobody else needed. */
const KEEP_MS = 10_000;
const ROWS_MOST = 64;
/** Of a space's slots, those that all rows together may hold. */
const SHARE = 0.25;

export class Prefetches {
  readonly #rows = new Map<string, Row>();
  #begun = 0;
  #left_out = 0;
  #last = 0;

  get count(): number {
    return this.#rows.size;
  }

  /** Brings blocks of the row from `from` on; without any to bring, nothing happens. */
  begin(
    space: Space,
    wanted: BigUint64Array,
    from: number,
    now_ms: number,
    neighbours?: Pick<Neighbours, "bring">,
  ): void {
    const { room } = space;
    if (from >= wanted.length || this.#isKnown(space, wanted)) return;
    const hashes = wanted.subarray(0, from + this.#roomIn(space));
    let next = from;
    while (next < hashes.length && room.has(hashes[next]!)) next += 1;
    if (next >= hashes.length || this.#rows.size >= ROWS_MOST) {
      if (next < wanted.length && !room.has(wanted[next]!)) this.#left_out += 1;
      return;
    }
    const name = `prefetch ${++this.#last}`;
    // Not by `find` alone, which counts as a reader who asks.
    const { lease } = room.find(name, [], 0, true);
    room.extend(name, lease, hashes, from);
    const until_ms = now_ms + KEEP_MS;
    const row: Row = { name, space, hashes, lease, next, until_ms, cancel: () => {} };
    this.#rows.set(name, row);
    this.#bring(row, neighbours);
  }

  #bring(row: Row, neighbours: Pick<Neighbours, "bring"> | undefined): void {
    const { space, hashes, next: first, until_ms } = row;
    // The third one is this call itself: sources may end before it returns.
    let open = 3;
    const ended = () => {
      open -= 1;
      // What is here of the row was here before: there was nothing to bring.
      if (open === 0 && row.next === first) this.#end(row);
    };
    const behind = space.disk?.bring(hashes, first, ended) ?? first;
    if (behind === first) ended();
    const rest = { space, hashes, from: behind, until_ms };
    const cancel = neighbours?.bring(rest, "", undefined, ended);
    if (cancel === undefined) ended();
    else row.cancel = cancel;
    if (open > 1) this.#begun += 1;
    ended();
  }

  /** Blocks have come into the space. */
  came(space: Space): void {
    for (const row of this.#rows.values()) {
      if (row.space !== space) continue;
      row.next += space.room.extend(row.name, row.lease, row.hashes, row.next).length;
    }
  }

  /** Somebody reads these blocks, and holds them from now on. */
  read(space: Space, hashes: BigUint64Array): void {
    for (const row of this.#rows.values()) {
      if (row.space === space && startsWith(hashes, row.hashes)) this.#end(row);
    }
  }

  late(now_ms: number): void {
    for (const row of this.#rows.values()) if (row.until_ms <= now_ms) this.#end(row);
  }

  inspect() {
    return { live: this.#rows.size, begun: this.#begun, left_out: this.#left_out };
  }

  /** Blocks that hints may still hold of the space. */
  #roomIn(space: Space): number {
    let left = Math.floor(SHARE * space.slots);
    for (const row of this.#rows.values()) if (row.space === space) left -= row.hashes.length;
    return Math.max(0, left);
  }

  #isKnown(space: Space, hashes: BigUint64Array): boolean {
    for (const row of this.#rows.values()) {
      if (row.space === space && startsWith(row.hashes, hashes)) return true;
    }
    return false;
  }

  #end(row: Row): void {
    if (!this.#rows.delete(row.name)) return;
    row.cancel();
    row.space.room.gone(row.name);
  }
}

/** A block's name says what all before it are, so the last one tells. */
const startsWith = (row: BigUint64Array, part: BigUint64Array): boolean =>
  part.length > 0 && part.length <= row.length && row[part.length - 1] === part.at(-1);
