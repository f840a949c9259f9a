/**
 * A space of blocks as other machines have it: what they read is held until they have read it, and
 * what comes from them is written into slots that nobody else has.
 */
import type { BlockRoom } from "../keeper/room.ts";
import { NO_PARENT } from "../tier/tier.ts";
import type { PullTarget } from "./pull.ts";
import type { ReadBlock, Reading } from "./sender.ts";

export type PeerSpace = {
  /** As in WorkerRecord.kv_identity. */
  readonly identity: string;
  readonly room: BlockRoom;
  readonly block_bytes: number;
  /** The memory of a slot, of exactly one block. */
  readonly bytes: (slot: number) => Uint8Array;
  /** In memory or on a disk, without asking for it. */
  readonly has: (hash: bigint) => boolean;
  /** The block has come from elsewhere: others may wait for it. */
  readonly came: (hash: bigint) => void;
  /** Those of the blocks that are on a disk come into memory. Undefined: none is. */
  readonly load?: (hashes: readonly bigint[], news: () => void) => Loading | undefined;
  /** Somebody waits for what a hand-off computes. */
  readonly expect: (id: string, news: () => void) => Expected;
};

/** A hand-off that is waited for: news are called when a block has come, and when it is over. */
export type Expected = {
  /** Whether more blocks may come by it. */
  readonly coming: () => boolean;
  readonly end: () => void;
};

export type Loading = Expected & { readonly hashes: ReadonlySet<bigint> };

/** What one ticket lets read. */
export class RoomReading implements Reading {
  readonly #space: PeerSpace;
  readonly #guest: string;
  readonly #expected: Expected | undefined;
  readonly #allowed: ReadonlySet<bigint>;
  readonly #held = new Map<bigint, ReadBlock>();
  #loading: Loading | undefined;
  #news: () => void = () => {};

  /** @param guest a name of its own in the room @param writer empty: what is not here is gone */
  constructor(space: PeerSpace, guest: string, hashes: readonly bigint[], writer: string) {
    this.#space = space;
    this.#guest = guest;
    this.#allowed = new Set(hashes);
    this.#expected = writer === "" ? undefined : space.expect(writer, () => this.#news());
  }

  /** It stays from now on. False: it is not here. */
  hold(hash: bigint): boolean {
    if (this.#held.has(hash)) return true;
    const { slots, sums } = this.#space.room.find(this.#guest, [hash]);
    const [slot] = slots;
    if (slot === undefined) return false;
    const bytes = this.#space.bytes(slot);
    // Blocks that came from an engine have no checksum before they leave the machine.
    this.#held.set(hash, { bytes, sum: sums[0] || Bun.hash.xxHash3(bytes) });
    return true;
  }

  /** What is on a disk comes, too. */
  load(): void {
    this.#loading = this.#space.load?.([...this.#allowed], () => this.#news());
  }

  /** It is here, or comes from a disk. */
  has(hash: bigint): boolean {
    return this.hold(hash) || this.#loading?.hashes.has(hash) === true;
  }

  get(hash: bigint): ReadBlock | "coming" | "gone" {
    if (!this.#allowed.has(hash)) return "gone";
    if (this.hold(hash)) return this.#held.get(hash)!;
    const loads = this.#loading?.hashes.has(hash) === true && this.#loading.coming();
    return loads || this.#expected?.coming() === true ? "coming" : "gone";
  }

  onNews(listener: () => void): void {
    this.#news = listener;
  }

  close(): void {
    this.#news = () => {};
    this.#expected?.end();
    this.#loading?.end();
    this.#held.clear();
    this.#space.room.gone(this.#guest);
  }
}

/** Slots that a pull fills. */
export class RoomTarget implements PullTarget {
  readonly #space: PeerSpace;
  readonly #guest: string;
  readonly #parents: ReadonlyMap<bigint, bigint>;

  /** @param parents the block before each */
  constructor(space: PeerSpace, guest: string, parents: ReadonlyMap<bigint, bigint>) {
    this.#space = space;
    this.#guest = guest;
    this.#parents = parents;
  }

  reserve(hash: bigint): Uint8Array | "held" | "full" {
    const parent = this.#parents.get(hash) ?? NO_PARENT;
    const offer = { hash, parent, priority: 0, demanded: true };
    const [slot] = this.#space.room.reserve(this.#guest, [offer]);
    if (typeof slot === "number") return this.#space.bytes(slot);
    return slot === "held" ? "held" : "full";
  }

  filled(hash: bigint, sum: bigint): void {
    this.#space.room.filled(this.#guest, hash, sum);
    this.#space.came(hash);
  }

  dropped(hash: bigint): void {
    this.#space.room.dropped(this.#guest, hash);
  }
}

type RowPart = { readonly hashes: ArrayLike<bigint>; readonly from: number };

/** The block before each, as far as the row says. */
export function parentsOf({ hashes, from }: RowPart): ReadonlyMap<bigint, bigint> {
  const parents = new Map<bigint, bigint>();
  for (let i = Math.max(1, from); i < hashes.length; i += 1)
    parents.set(hashes[i]!, hashes[i - 1]!);
  return parents;
}
