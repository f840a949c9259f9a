/**
 * The tier that machines share behind their memories and disks: a store of blocks, which is asked
 * for what nobody else has, and gets what is used again.
 *
 *   bring ──▶ get, some at a time ──▶ header and checksum ──▶ slots of memory
 *   keep ───▶ held in memory ──▶ put, some at a time
 *
 * A miss is normal; so is a store that is away, which is left in peace for a while.
 */
import type { Clock } from "../../../runtime/capabilities.ts";
import { Misses } from "../peer/misses.ts";
import { type Offered, Offering } from "../peer/offering.ts";
import type { WantedRow } from "../peer/peers.ts";
import { type PeerSpace, parentsOf, RoomReading, RoomTarget } from "../peer/space.ts";
import type { BlockStore } from "./block-store.ts";
import { blockKind, readStored, stored, type Untrusted } from "./header.ts";

export type ObjectHost = {
  readonly store: BlockStore;
  readonly clock: Clock;
  /** A name in a room that nobody else has. */
  readonly guest: () => string;
  /** The store cannot be used; said once until it can. */
  readonly failed: (why: unknown) => void;
};

/** Blocks of one row under way. */
const GETS_MOST = 8;
const PUTS_MOST = 4;
/** So long a block that was not there is not asked for. */
const MISS_MS = 5_000;
/** So long a store that failed is not used. */
const REST_MS = 5_000;

type Fetch = {
  readonly row: WantedRow;
  readonly hashes: readonly bigint[];
  readonly target: RoomTarget;
  readonly guest: string;
  readonly ended: () => void;
  next: number;
  gets: number;
  over: boolean;
};

export class ObjectTier {
  readonly #host: ObjectHost;
  readonly #misses = new Misses(MISS_MS);
  /** By identity. */
  readonly #offerings = new Map<string, Offering>();
  readonly #fetches = new Set<Fetch>();
  readonly #counts = { got: 0, missed: 0, put: 0, failed: 0, torn: 0, foreign: 0, corrupt: 0 };
  #puts = 0;
  #rest_until_ms = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(host: ObjectHost) {
    this.#host = host;
  }

  /**
   * Brings what the store has of the row, without a gap. Undefined: it is not asked. Else `ended`
   * is called once, when no more comes; the returned function gives it up.
   */
  bring(row: WantedRow, ended: () => void): (() => void) | undefined {
    const { hashes: all, from, space } = row;
    const hashes = Array.from({ length: Math.max(0, all.length - from) }, (_, i) => all[from + i]!);
    const [first] = hashes.filter((hash) => !space.room.has(hash));
    const now_ms = this.#host.clock.now_ms();
    if (first === undefined || this.#closed || this.#rest_until_ms > now_ms) return undefined;
    if (this.#misses.has(first, now_ms)) return undefined;
    const guest = this.#host.guest();
    const target = new RoomTarget(space, guest, parentsOf(row));
    const fetch: Fetch = {
      ...{ row, hashes, target, guest, ended, next: 0, gets: 0, over: false },
    };
    this.#fetches.add(fetch);
    this.#get(fetch);
    return () => this.#finish(fetch);
  }

  /** Blocks that somebody found here. */
  reused(space: PeerSpace, blocks: Iterable<Offered>): void {
    const offering = this.#offerings.get(space.identity) ?? new Offering("after_first_reuse");
    this.#offerings.set(space.identity, offering);
    for (const block of blocks) offering.reused(block);
    this.#put(space, offering);
  }

  counts() {
    return { ...this.#counts, store: this.#host.store.name };
  }

  /** Rows and blocks under way. */
  get busy(): number {
    return this.#fetches.size + this.#puts;
  }

  close(): void {
    this.#closed = true;
    for (const fetch of [...this.#fetches]) this.#finish(fetch);
  }

  /** The next blocks of the row, as many as may be under way. */
  #get(fetch: Fetch): void {
    const { row, hashes, target } = fetch;
    const late = this.#host.clock.now_ms() >= row.until_ms;
    while (!fetch.over && !late && fetch.gets < GETS_MOST) {
      const hash = hashes[fetch.next];
      if (hash === undefined) break;
      const memory = row.space.room.has(hash) ? "held" : target.reserve(hash);
      if (memory === "full") {
        fetch.next = hashes.length;
        break;
      }
      fetch.next += 1;
      if (memory === "held") continue;
      fetch.gets += 1;
      this.#host.store.get(nameOf(row.space, hash)).then(
        (whole) => this.#got(fetch, hash, memory, whole),
        (error: unknown) => {
          this.#fail(error);
          this.#got(fetch, hash, memory, "failed");
        },
      );
    }
    if (fetch.gets === 0) this.#finish(fetch);
  }

  #got(
    fetch: Fetch,
    hash: bigint,
    memory: Uint8Array,
    whole: Uint8Array | undefined | "failed",
  ): void {
    fetch.gets -= 1;
    // Its slot is another's by now.
    if (fetch.over) return;
    const { row, hashes, target } = fetch;
    const { space } = row;
    const block = whole instanceof Uint8Array ? read(space, whole) : whole;
    if (block !== undefined && typeof block !== "string") {
      memory.set(block.bytes);
      this.#counts.got += 1;
      target.filled(hash, block.sum);
    } else {
      if (block === undefined) {
        this.#misses.note(hash, this.#host.clock.now_ms());
        this.#counts.missed += 1;
      } else if (block !== "failed") this.#counts[block] += 1;
      target.dropped(hash);
      // Behind a gap nobody finds anything.
      fetch.next = hashes.length;
    }
    this.#get(fetch);
  }

  #finish(fetch: Fetch): void {
    if (fetch.over) return;
    fetch.over = true;
    this.#fetches.delete(fetch);
    fetch.row.space.room.gone(fetch.guest);
    fetch.ended();
  }

  #put(space: PeerSpace, offering: Offering): void {
    const { clock, store, guest } = this.#host;
    while (!this.#closed && this.#puts < PUTS_MOST && this.#rest_until_ms <= clock.now_ms()) {
      const [block] = offering.take(1);
      if (block === undefined) return;
      const reading = new RoomReading(space, guest(), [block.hash], "");
      const held = reading.get(block.hash);
      if (typeof held === "string") {
        reading.close();
        continue;
      }
      this.#puts += 1;
      const whole = stored(blockKind(space.identity), held.bytes, held.sum);
      reading.close();
      const put = store.put(nameOf(space, block.hash), whole).then(
        () => {
          this.#counts.put += 1;
          this.#misses.forget(block.hash);
        },
        (error: unknown) => this.#fail(error),
      );
      void put.then(() => {
        this.#puts -= 1;
        this.#put(space, offering);
      });
    }
  }

  #fail(error: unknown): void {
    const now_ms = this.#host.clock.now_ms();
    this.#counts.failed += 1;
    if (this.#rest_until_ms <= now_ms) this.#host.failed(error);
    this.#rest_until_ms = now_ms + REST_MS;
  }
}

const nameOf = ({ identity }: PeerSpace, hash: bigint) =>
  `${identity}/${hash.toString(16).padStart(16, "0")}`;

const read = (
  { identity, block_bytes }: PeerSpace,
  whole: Uint8Array,
): Exclude<ReturnType<typeof readStored>, Untrusted> | Untrusted =>
  readStored(blockKind(identity), whole, block_bytes);
