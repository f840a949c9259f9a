/**
 * The blocks of one simulated device. Each is in one of three states:
 *
 *   free ──allocate──▶ in use ──release──▶ free            (a block without a name)
 *                        │ register            ▲
 *                        ▼                     │ evict, oldest first
 *                      in use ──release──▶ cached          (a block with one)
 *                        ▲───── retain ────────┘
 *
 * In use means that sequences refer to it (`refs` > 0). A named block is found by its sequence hash
 * whether in use or cached, so prefixes are shared. `in use + cached + free = capacity` always.
 * Sequences release their blocks last first, and hold a block's parent whenever they hold the
 * block: so a parent is always used later than its child, and evicted later.
 *
 * Rows of numbers by slot instead of objects, grown on demand: an idle pool of 16,384 blocks takes
 * some 10 KB, a full one 600 KB.
 */
import type { KvDump, KvStored } from "../../../llm/blocks/kv-event.ts";
import { RECORD_WORDS, SlotTable } from "./slot-table.ts";

const NONE = -1;
const FIRST_SLOTS = 64;

/** Words of a slot's record: side by side, since whoever needs one needs most of them. */
const LOW = 0;
const HIGH = 1;
const LOCAL_LOW = 2;
const LOCAL_HIGH = 3;
/** Slot of the block before it in its sequence, NONE for a first one. */
const PARENT = 4;
const POSITION = 5;
/** Links of the cached blocks, oldest to newest; of the free ones, NEXT only. */
const NEXT = 6;
const PREVIOUS = 7;
const WORDS = RECORD_WORDS;

export class BlockPool {
  /** Blocks that sequences refer to. */
  used = 0;
  /** Blocks that nobody refers to, kept for their names. */
  cached = 0;
  evictions = 0;
  /** Low and high half of the names of the blocks that the last `allocate` evicted. */
  evicted_words = new Int32Array(64);
  evicted = 0;

  #records = new Int32Array(WORDS * FIRST_SLOTS);
  #refs = new Uint32Array(FIRST_SLOTS);
  #named = new Uint8Array(FIRST_SLOTS);
  #oldest = NONE;
  #newest = NONE;
  #first_free = NONE;
  /** Slots from here on were never used. */
  #untouched = 0;
  readonly #table = new SlotTable();

  constructor(readonly capacity: number) {}

  get free(): number {
    return this.capacity - this.used - this.cached;
  }

  /** The slot of the named block, or -1. */
  find(low: number, high: number): number {
    return this.#table.find(low, high, this.#records);
  }

  isInUse(slot: number): boolean {
    return this.#refs[slot]! > 0;
  }

  /** 0: free, 1: in use without a name, 2: cached, 3: in use. */
  stateOf(slot: number): number {
    if (slot >= this.#untouched) return 0;
    const named = this.#named[slot] === 1;
    if (this.#refs[slot]! > 0) return named ? 3 : 1;
    return named ? 2 : 0;
  }

  /** One more sequence refers to a named block. */
  retain(slot: number): void {
    if (this.#refs[slot]! === 0) {
      this.#unlink(slot);
      this.cached--;
      this.used++;
    }
    this.#refs[slot]!++;
  }

  /**
   * Appends `count` blocks without names, each with one reference, to `slots`; false and nothing
   * done when they are not there even after evicting everything. `evicted` says what went.
   */
  allocate(count: number, slots: number[]): boolean {
    this.evicted = 0;
    if (count > this.capacity - this.used) return false;
    for (let missing = count - this.free; missing > 0; missing--) this.#evictOldest();
    for (let i = 0; i < count; i++) slots.push(this.#take());
    this.used += count;
    return true;
  }

  /**
   * Names a block, words `2 * position` of the rows being its hashes. Returns its slot from now on:
   * the one that had the name already, if any, for which the given block is freed.
   */
  register(
    slot: number,
    position: number,
    parent: number,
    sequence_words: Int32Array,
    local_words: Int32Array,
  ): number {
    const low = sequence_words[2 * position]!;
    const high = sequence_words[2 * position + 1]!;
    const twin = this.find(low, high);
    if (twin >= 0) {
      this.retain(twin);
      this.release(slot);
      return twin;
    }
    const records = this.#records;
    const at = WORDS * slot;
    records[at + LOW] = low;
    records[at + HIGH] = high;
    records[at + LOCAL_LOW] = local_words[2 * position]!;
    records[at + LOCAL_HIGH] = local_words[2 * position + 1]!;
    records[at + PARENT] = parent;
    records[at + POSITION] = position;
    this.#named[slot] = 1;
    this.#table.add(slot, low);
    return slot;
  }

  isNamed(slot: number): boolean {
    return this.#named[slot] === 1;
  }

  release(slot: number): void {
    const refs = this.#refs[slot]!;
    if (refs === 0) throw new RangeError(`block ${slot} is released twice`);
    this.#refs[slot] = refs - 1;
    if (refs > 1) return;
    this.used--;
    if (this.#named[slot] === 1) {
      this.#link(slot);
      this.cached++;
    } else {
      this.#records[WORDS * slot + NEXT] = this.#first_free;
      this.#first_free = slot;
    }
  }

  /** Forgets every name: cached blocks become free, blocks in use stay without one. */
  clear(): void {
    while (this.cached > 0) this.#evictOldest();
    this.#named.fill(0);
    this.#table.clear();
    this.evicted = 0;
  }

  /** Blocks with a name, as events that build the same cache elsewhere, parents first. */
  dump(last_event_id: number, dp_rank: number): KvDump["blocks"] {
    const slots: number[] = [];
    for (let slot = 0; slot < this.#untouched; slot++) if (this.#named[slot]) slots.push(slot);
    slots.sort((a, b) => this.#word(a, POSITION) - this.#word(b, POSITION));
    const runs: number[][] = [];
    const run_ending_at = new Map<number, number[]>();
    for (const slot of slots) {
      const parent = this.#word(slot, PARENT);
      const run = run_ending_at.get(parent);
      if (run === undefined) {
        const fresh = [slot];
        runs.push(fresh);
        run_ending_at.set(slot, fresh);
      } else {
        run_ending_at.delete(parent);
        run.push(slot);
        run_ending_at.set(slot, run);
      }
    }
    return runs.map((run) => this.#storedRun(run, last_event_id, dp_rank));
  }

  #storedRun(run: readonly number[], event_id: number, dp_rank: number): KvStored {
    const sequence_hashes = new BigUint64Array(run.length);
    const local_hashes = new BigUint64Array(run.length);
    // A record begins with the two hashes.
    const hashes = new BigUint64Array(this.#records.buffer);
    for (const [i, slot] of run.entries()) {
      sequence_hashes[i] = hashes[(WORDS / 2) * slot]!;
      local_hashes[i] = hashes[(WORDS / 2) * slot + 1]!;
    }
    const parent = this.#word(run[0]!, PARENT);
    return {
      kind: "stored",
      event_id,
      dp_rank,
      tier: "device",
      parent_hash: parent === NONE ? undefined : hashes[(WORDS / 2) * parent]!,
      start_block: this.#word(run[0]!, POSITION),
      sequence_hashes,
      local_hashes,
    };
  }

  #word(slot: number, word: number): number {
    return this.#records[WORDS * slot + word]!;
  }

  #take(): number {
    let slot = this.#first_free;
    if (slot === NONE) {
      slot = this.#untouched++;
      if (slot === this.#refs.length) this.#grow();
    } else {
      this.#first_free = this.#word(slot, NEXT);
    }
    this.#refs[slot] = 1;
    return slot;
  }

  #evictOldest(): void {
    const slot = this.#oldest;
    const records = this.#records;
    const at = WORDS * slot;
    const low = records[at + LOW]!;
    this.#unlink(slot);
    this.#table.remove(slot, low);
    this.#named[slot] = 0;
    this.cached--;
    this.evictions++;
    if (2 * this.evicted === this.evicted_words.length) {
      this.evicted_words = grown(this.evicted_words);
    }
    this.evicted_words[2 * this.evicted] = low;
    this.evicted_words[2 * this.evicted + 1] = records[at + HIGH]!;
    this.evicted++;
    records[at + NEXT] = this.#first_free;
    this.#first_free = slot;
  }

  #link(slot: number): void {
    const records = this.#records;
    const newest = this.#newest;
    records[WORDS * slot + NEXT] = NONE;
    records[WORDS * slot + PREVIOUS] = newest;
    if (newest === NONE) this.#oldest = slot;
    else records[WORDS * newest + NEXT] = slot;
    this.#newest = slot;
  }

  #unlink(slot: number): void {
    const records = this.#records;
    const before = records[WORDS * slot + PREVIOUS]!;
    const after = records[WORDS * slot + NEXT]!;
    if (before === NONE) this.#oldest = after;
    else records[WORDS * before + NEXT] = after;
    if (after === NONE) this.#newest = before;
    else records[WORDS * after + PREVIOUS] = before;
  }

  #grow(): void {
    this.#records = grown(this.#records);
    this.#refs = grown(this.#refs);
    this.#named = grown(this.#named);
  }
}

function grown<Row extends Uint8Array | Uint32Array | Int32Array>(row: Row): Row {
  const bigger = new (row.constructor as new (length: number) => Row)(2 * row.length);
  bigger.set(row);
  return bigger;
}
