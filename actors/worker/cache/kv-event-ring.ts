/**
 * The last cache events of a worker, by id, as rows of numbers. As objects they would be tens of
 * thousands, which every garbage collection walks though they are rarely read.
 *
 *   words  │ … gone │ kind │ rank │ start │ count │ parent │ hashes … │ kind │ … │ free │
 *                   ▲ places[oldest_id % events]
 */
import { pairsOf } from "../../../llm/blocks/block-table.ts";
import type { KvEvent, KvTier } from "../../../llm/blocks/kv-event.ts";
import type { WireKvEvent } from "../../../proto/index.ts";

const kinds = ["stored", "removed", "cleared"] as const;
const tiers: readonly KvTier[] = ["device", "host", "disk", "external"];
const HEAD_WORDS = 6;
const HAS_PARENT = 16;
const WORDS_AT_FIRST = 256;
const EVENTS_AT_FIRST = 64;

/** Blocks `from` to `to` of one engine event. */
export type EventPart = { readonly event: KvEvent; readonly from: number; readonly to: number };

export class KvEventRing {
  oldest_id = 0;
  next_id = 0;
  readonly #events_max: number;
  readonly #blocks_max: number;
  #words = new Uint32Array(WORDS_AT_FIRST);
  /** Number of the first word in `words`; places count from the first word ever written. */
  #base = 0;
  #end = 0;
  /** Grows to `events_max`: most workers of a large cluster have little to tell. */
  #places = new Float64Array(EVENTS_AT_FIRST);
  #kept_blocks = 0;

  constructor(events_max: number, blocks_max: number) {
    this.#events_max = events_max;
    this.#blocks_max = blocks_max;
  }

  /** Drops the oldest events when there are too many of them or of their blocks. */
  push({ event, from, to }: EventPart): void {
    if (this.next_id - this.oldest_id >= this.#events_max) this.#dropOldest();
    if (this.next_id - this.oldest_id >= this.#places.length) this.#growPlaces();
    const at = this.#room(HEAD_WORDS + 2 * (to - from));
    this.#write(at, { event, from, to });
    this.#places[this.next_id % this.#places.length] = this.#base + at;
    this.next_id++;
    this.#kept_blocks += to - from;
    while (this.#kept_blocks > this.#blocks_max && this.next_id - this.oldest_id > 1) {
      this.#dropOldest();
    }
  }

  /** Blocks of an event that is still here. */
  blocksIn(id: number): number {
    return this.#words[this.#placeOf(id) + 3]!;
  }

  /** An event that is here, as routers are told it; a copy. */
  read(id: number): WireKvEvent {
    const words = this.#words;
    const at = this.#placeOf(id);
    const flags = words[at]!;
    const count = words[at + 3]!;
    const parent = (flags & HAS_PARENT) === 0 ? none : bytesOf(words, at + 4, 2);
    const hashes = count === 0 ? none : bytesOf(words, at + HEAD_WORDS, 2 * count);
    return {
      kind: kinds[flags & 3]!,
      dp_rank: words[at + 1]!,
      tier: tiers[(flags >> 2) & 3]!,
      parent,
      start: words[at + 2]!,
      hashes,
    };
  }

  #write(at: number, { event, from, to }: EventPart): void {
    const words = this.#words;
    const flags = kinds.indexOf(event.kind) | (tiers.indexOf(event.tier) << 2);
    words[at] = flags;
    words[at + 1] = event.dp_rank;
    words[at + 2] = event.kind === "stored" ? event.start_block + from : 0;
    words[at + 3] = to - from;
    if (event.kind === "cleared") return;
    const pairs = pairsOf(event.sequence_hashes);
    words.set(pairs.subarray(2 * from, 2 * to), at + HEAD_WORDS);
    if (event.kind === "removed") return;
    if (from > 0) {
      words.set(pairs.subarray(2 * from - 2, 2 * from), at + 4);
    } else if (event.parent_hash === undefined) {
      return;
    } else {
      one[0] = event.parent_hash;
      words.set(pairsOf(one), at + 4);
    }
    words[at] = flags | HAS_PARENT;
  }

  #placeOf(id: number): number {
    return this.#places[id % this.#places.length]! - this.#base;
  }

  #growPlaces(): void {
    const larger = new Float64Array(2 * this.#places.length);
    for (let id = this.oldest_id; id < this.next_id; id++) {
      larger[id % larger.length] = this.#places[id % this.#places.length]!;
    }
    this.#places = larger;
  }

  #dropOldest(): void {
    this.#kept_blocks -= this.blocksIn(this.oldest_id);
    this.oldest_id++;
  }

  /** Place of `count` free words. Dropped events make room, or the row grows. */
  #room(count: number): number {
    if (this.#end + count > this.#words.length) this.#moveUp(count);
    const at = this.#end;
    this.#end += count;
    return at;
  }

  #moveUp(count: number): void {
    const first = this.oldest_id < this.next_id ? this.#placeOf(this.oldest_id) : this.#end;
    const live = this.#words.subarray(first, this.#end);
    const wanted = live.length + count;
    // Twice what is wanted, so that moving costs a word or two for each that is written.
    const length = Math.max(WORDS_AT_FIRST, 2 ** Math.ceil(Math.log2(2 * wanted)));
    if (length === this.#words.length) {
      this.#words.copyWithin(0, first, this.#end);
    } else {
      const words = new Uint32Array(length);
      words.set(live);
      this.#words = words;
    }
    this.#base += first;
    this.#end -= first;
  }
}

const none = new Uint8Array(0);
const one = new BigUint64Array(1);

function bytesOf(words: Uint32Array, at: number, count: number): Uint8Array {
  const { buffer, byteOffset } = words;
  return new Uint8Array(buffer, byteOffset + 4 * at, 4 * count).slice();
}
