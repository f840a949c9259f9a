/**
 * A space of blocks as other machines have it: what they read is held until they have read it, and
 * what comes from them is written into slots that nobody else has.
 */
import type { BlockRoom } from "../keeper/room.ts";
import type { PullTarget } from "./pull.ts";
import type { ReadBlock, Reading } from "./sender.ts";

export type PeerSpace = {
  /** As in WorkerRecord.kv_identity. */
  readonly identity: string;
  readonly room: BlockRoom;
  readonly block_bytes: number;
  /** The memory of a slot, of exactly one block. */
  readonly bytes: (slot: number) => Uint8Array;
  /** Whether more blocks may come by this hand-off. */
  readonly writing: (id: string) => boolean;
  /** Calls the listener when a block has come, or a hand-off is over. Returns what ends it. */
  readonly onNews: (listener: () => void) => () => void;
};

/** What one ticket lets read. */
export class RoomReading implements Reading {
  readonly #space: PeerSpace;
  readonly #guest: string;
  readonly #writer: string;
  readonly #allowed: ReadonlySet<bigint>;
  readonly #held = new Map<bigint, ReadBlock>();
  #unlisten: () => void = () => {};

  /** @param guest a name of its own in the room @param writer empty: what is not here is gone */
  constructor(space: PeerSpace, guest: string, hashes: readonly bigint[], writer: string) {
    this.#space = space;
    this.#guest = guest;
    this.#writer = writer;
    this.#allowed = new Set(hashes);
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

  get(hash: bigint): ReadBlock | "coming" | "gone" {
    if (!this.#allowed.has(hash)) return "gone";
    if (this.hold(hash)) return this.#held.get(hash)!;
    return this.#writer !== "" && this.#space.writing(this.#writer) ? "coming" : "gone";
  }

  onNews(listener: () => void): void {
    this.#unlisten();
    if (this.#writer !== "") this.#unlisten = this.#space.onNews(listener);
  }

  close(): void {
    this.#unlisten();
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
    const offer = { hash, parent: this.#parents.get(hash) ?? 0n, priority: 0 };
    const [slot] = this.#space.room.reserve(this.#guest, [offer]);
    if (typeof slot === "number") return this.#space.bytes(slot);
    return slot === "held" ? "held" : "full";
  }

  filled(hash: bigint, sum: bigint): void {
    this.#space.room.filled(this.#guest, hash, sum);
  }

  dropped(hash: bigint): void {
    this.#space.room.dropped(this.#guest, hash);
  }
}
