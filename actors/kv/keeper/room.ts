/**
 * The room for blocks of one kind (one model, one engine, one layout) on one machine: slots of
 * memory that its workers share, and who may write or read which of them now. Pure: bytes are
 * copied by the workers, and who they are and whether they live is the keeper's to know.
 *
 *   reserve ─▶ slots to write ── filled, dropped ──▶ found by all
 *   find ────▶ slots to read, under a lease ── release ──▶ may give way again
 *   gone ────▶ whatever the worker had, reserved or leased, is free
 */
import {
  type Declined,
  type HeldBlock,
  type PartialBlock,
  ResetBlock,
  Tier,
  type TierStats,
} from "../tier/tier.ts";

/** A block that a worker has and that may be kept here. */
export type Offer = {
  readonly hash: bigint;
  readonly parent: bigint;
  readonly priority: number;
  /** Somebody waits for it. */
  readonly demanded?: boolean;
};

export type Found = {
  /** Given back by `release`; 0: nothing was found. */
  readonly lease: number;
  /** Of the blocks that lie here in a row, in order. */
  readonly slots: readonly number[];
  readonly sums: readonly bigint[];
};

type Guest = {
  readonly writing: Map<bigint, PartialBlock>;
  readonly leases: Map<number, HeldBlock[]>;
};

/** Leases of one worker at a time; more are a fault of its own. */
const LEASES_MOST = 4096;

export class BlockRoom {
  readonly #tier: Tier;
  readonly #guests = new Map<string, Guest>();
  readonly #onHere: (hash: bigint) => void;
  #next_lease = 1;

  /**
   * @param onGone a block is found no more; its slot may have another one's bytes next
   * @param onHere a block is found from now on
   */
  constructor(
    slots: number,
    onGone: (hash: bigint) => void = () => {},
    onHere: (hash: bigint) => void = () => {},
  ) {
    this.#onHere = onHere;
    this.#tier = new Tier(slots, (hash) => onGone(hash));
  }

  /**
   * A slot for each block that the worker is to write, in the order of the offers. A block whose
   * parent was declined is declined too: nobody would find it.
   */
  reserve(worker: string, offers: readonly Offer[]): readonly (number | Declined)[] {
    const { writing } = this.#guest(worker);
    const left_out = new Set<bigint>();
    return offers.map(({ hash, parent, priority, demanded }) => {
      if (left_out.has(parent)) {
        left_out.add(hash);
        return "unwanted";
      }
      const reset = this.#tier.reserve(hash, parent, priority, demanded);
      if (reset instanceof ResetBlock) {
        const partial = reset.fill();
        writing.set(hash, partial);
        return partial.slot;
      }
      if (reset !== "held") left_out.add(hash);
      return reset;
    });
  }

  /** All bytes are there: the block is found from now on. False: the worker was not writing it. */
  filled(worker: string, hash: bigint, sum: bigint): boolean {
    const partial = this.#take(worker, hash);
    partial?.complete(sum).register().release();
    if (partial !== undefined) this.#onHere(hash);
    return partial !== undefined;
  }

  /** It is not written after all. */
  dropped(worker: string, hash: bigint): boolean {
    const partial = this.#take(worker, hash);
    partial?.drop();
    return partial !== undefined;
  }

  /**
   * The blocks of the row that lie here from `from` on, without a gap. They stay until `release`.
   * @param open there is a lease also for no block, as more may come: `extend`
   */
  find(worker: string, hashes: ArrayLike<bigint>, from = 0, open = false): Found {
    const guest = this.#guest(worker);
    const count = this.#tier.match(hashes, from);
    const full = guest.leases.size >= LEASES_MOST;
    if (full || (count === 0 && !open)) return { lease: 0, slots: [], sums: [] };
    const held = Array.from({ length: count }, (_, i) => this.#tier.hold(hashes[from + i]!)!);
    const lease = this.#next_lease++;
    guest.leases.set(lease, held);
    return { lease, slots: held.map(({ slot }) => slot), sums: held.map(({ sum }) => sum) };
  }

  /** More blocks of the row under the same lease, from `from` on without a gap: their slots. */
  extend(worker: string, lease: number, hashes: ArrayLike<bigint>, from: number): number[] {
    const held = this.#guests.get(worker)?.leases.get(lease);
    const slots: number[] = [];
    for (let at = from; held !== undefined && at < hashes.length; at += 1) {
      const block = this.#tier.hold(hashes[at]!);
      if (block === undefined) break;
      held.push(block);
      slots.push(block.slot);
    }
    return slots;
  }

  /** A block that stays until the caller releases it; undefined: it is not here. */
  hold(hash: bigint): HeldBlock | undefined {
    return this.#tier.has(hash) ? this.#tier.hold(hash) : undefined;
  }

  /** Without asking for it. */
  has(hash: bigint): boolean {
    return this.#tier.has(hash);
  }

  parentOf(hash: bigint): bigint | undefined {
    return this.#tier.parentOf(hash);
  }

  /** False: there is no such lease (any more). */
  release(worker: string, lease: number): boolean {
    const guest = this.#guests.get(worker);
    const held = guest?.leases.get(lease);
    if (guest === undefined || held === undefined) return false;
    guest.leases.delete(lease);
    // Children first, so that the first block is the last to give way.
    for (const block of held.toReversed()) block.release();
    return true;
  }

  /** The bytes of a block are not what they should be. */
  forget(hash: bigint): void {
    this.#tier.forget(hash);
  }

  /** The worker is no more: what it wrote is not whole, and it reads nothing. */
  gone(worker: string): void {
    const guest = this.#guests.get(worker);
    if (guest === undefined) return;
    this.#guests.delete(worker);
    for (const partial of guest.writing.values()) partial.drop();
    for (const held of guest.leases.values()) {
      for (const block of held.toReversed()) block.release();
    }
  }

  hashes(): Iterable<{ readonly hash: bigint; readonly parent: bigint }> {
    return this.#tier.hashes();
  }

  /** The state of each slot; not a copy. */
  get states(): Uint8Array {
    return this.#tier.states;
  }

  stats(): TierStats {
    return this.#tier.stats();
  }

  /** Slots that nobody knows of: always 0. */
  unaccounted(): number {
    return this.#tier.unaccounted();
  }

  #guest(worker: string): Guest {
    let guest = this.#guests.get(worker);
    if (guest === undefined) {
      guest = { writing: new Map(), leases: new Map() };
      this.#guests.set(worker, guest);
    }
    return guest;
  }

  #take(worker: string, hash: bigint): PartialBlock | undefined {
    const writing = this.#guests.get(worker)?.writing;
    const partial = writing?.get(hash);
    writing?.delete(hash);
    return partial;
  }
}
