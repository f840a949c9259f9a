/**
 * One tier of blocks: a fixed number of slots, which block is in which, and who may go.
 *
 *             reserve        fill          complete         register
 *   ( free ) ────────▶ reset ────▶ partial ────────▶ complete ────────▶ registered
 *       ▲                │            │                 │                    │ evicted, forgotten
 *       └────────────────┴────drop────┴─────────────────┴────────────────────┘
 *
 * Each state is a class with the steps that it allows, and a handle is good for one step: whoever
 * uses it again gets a BlockMisuseError instead of somebody else's slot. Only registered blocks are
 * found. The same block is registered once: who comes second gets the first one's.
 *
 * Who has to give way is the block that nobody holds, that has no registered child, of the lowest
 * priority, least recently used; among the oldest few, the one that was asked for least often. A
 * newcomer that was asked for far less often than that is declined, so that one long scan does not
 * wash out what many use.
 */
import { Frequency } from "./frequency.ts";
import { type BlockFacts, HeldBlock, ResetBlock, type Staged } from "./handles.ts";
import { LeafQueue } from "./leaf-queue.ts";

export {
  BlockMisuseError,
  CompleteBlock,
  HeldBlock,
  PartialBlock,
  ResetBlock,
} from "./handles.ts";

/** Why there is no slot. */
export type Declined =
  /** It is registered, or somebody is about to register it. */
  | "held"
  /** Every block is held, or has a child. */
  | "full"
  /** Less wanted than all that could give way. */
  | "unwanted";

/** What a slot holds, as the inspector's block map shows it. */
export const SLOT_STATES = { free: 0, staged: 1, registered: 2, held: 3 } as const;

export type TierStats = {
  readonly slots: number;
  readonly free: number;
  /** Reset, partial and complete ones. */
  readonly staged: number;
  readonly registered: number;
  /** Registered ones that somebody holds. */
  readonly held: number;
  readonly hits: number;
  readonly misses: number;
  readonly evicted: number;
  readonly declined: number;
};

type Entry = {
  readonly hash: bigint;
  readonly parent: bigint;
  readonly slot: number;
  readonly priority: number;
  readonly sum: bigint;
  used: number;
  holders: number;
  /** Forgotten while somebody held it: nobody finds it, its slot is free with the last holder. */
  gone: boolean;
};

/** How many of the oldest are compared by how often they were asked for. */
const COMPARED = 5;
/**
 * A newcomer is declined only if it was asked for less often by more than this: what was asked for
 * twice and is the oldest of all is no better than what is new.
 */
const EXCESS = 2;

/** Of a first block: it follows nothing. */
export const NO_PARENT = 0n;

/** What block `at` of a row follows. */
export const parentIn = (hashes: ArrayLike<bigint>, at: number): bigint =>
  at === 0 ? NO_PARENT : hashes[at - 1]!;

export class Tier {
  readonly #slots: number;
  readonly #free: number[];
  /** By slot, for people: kept as slots change, so that a look at millions costs nothing else. */
  readonly #states: Uint8Array;
  readonly #entries = new Map<bigint, Entry>();
  /** By parent: registered blocks that follow it. */
  readonly #children = new Map<bigint, number>();
  readonly #staged = new Set<bigint>();
  readonly #leaves = new LeafQueue<Entry>(
    (entry, used) => entry.used === used && this.#mayGo(entry),
  );
  readonly #frequency: Frequency;
  readonly #onGone: (hash: bigint, slot: number) => void;
  #clock = 0;
  #held = 0;
  #gone_held = 0;
  #hits = 0;
  #misses = 0;
  #evicted = 0;
  #declined = 0;

  /** @param onGone a registered block is found no more: it was evicted or forgotten */
  constructor(slots: number, onGone: (hash: bigint, slot: number) => void = () => {}) {
    this.#slots = slots;
    this.#states = new Uint8Array(slots);
    this.#free = Array.from({ length: slots }, (_, i) => slots - 1 - i);
    this.#frequency = new Frequency(slots);
    this.#onGone = onGone;
  }

  /**
   * A slot for a block that is to come, taken from another one where none is free.
   * @param demanded somebody waits for it: it is not compared with what could give way
   */
  reserve(hash: bigint, parent: bigint, priority = 0, demanded = false): ResetBlock | Declined {
    if (this.#entries.has(hash) || this.#staged.has(hash)) return "held";
    this.#frequency.count(hash);
    if (this.#free.length === 0) {
      const declined = this.#makeRoom(hash, priority, demanded);
      if (declined !== undefined) {
        this.#declined += 1;
        return declined;
      }
    }
    const slot = this.#free.pop()!;
    this.#states[slot] = SLOT_STATES.staged;
    this.#staged.add(hash);
    return new ResetBlock(this.#stagedBlock({ hash, parent, slot, priority }));
  }

  /** How many of the row, from `from` on and without a gap, are here. Counts as asking for them. */
  match(hashes: ArrayLike<bigint>, from = 0): number {
    let at = from;
    for (; at < hashes.length; at += 1) {
      const hash = hashes[at]!;
      this.#frequency.count(hash);
      const entry = this.#entries.get(hash);
      if (entry === undefined) break;
      this.#touch(entry);
    }
    this.#hits += at - from;
    this.#misses += hashes.length - at;
    return at - from;
  }

  has(hash: bigint): boolean {
    return this.#entries.has(hash);
  }

  /** The block before a registered one. */
  parentOf(hash: bigint): bigint | undefined {
    return this.#entries.get(hash)?.parent;
  }

  /** The block, which stays until it is released; undefined: it is not here. */
  hold(hash: bigint): HeldBlock | undefined {
    const entry = this.#entries.get(hash);
    if (entry === undefined) return undefined;
    this.#touch(entry);
    return this.#hold(entry);
  }

  /** Nobody finds it any more (it was read and is not what it should be). False: it is not here. */
  forget(hash: bigint): boolean {
    const entry = this.#entries.get(hash);
    if (entry === undefined) return false;
    this.#unlist(entry);
    if (entry.holders === 0) this.#giveBack(entry.slot);
    else {
      entry.gone = true;
      this.#gone_held += 1;
    }
    return true;
  }

  /** Registered blocks, parents before children where both are here. */
  *hashes(): Generator<{ readonly hash: bigint; readonly parent: bigint }> {
    const told = new Set<bigint>();
    for (const entry of this.#entries.values()) {
      const row: Entry[] = [];
      for (let at: Entry | undefined = entry; at !== undefined && !told.has(at.hash); ) {
        told.add(at.hash);
        row.push(at);
        at = this.#entries.get(at.parent);
      }
      for (const { hash, parent } of row.toReversed()) yield { hash, parent };
    }
  }

  stats(): TierStats {
    const registered = this.#entries.size;
    const free = this.#free.length;
    return {
      ...{ slots: this.#slots, free, staged: this.#staged.size, registered, held: this.#held },
      ...{ hits: this.#hits, misses: this.#misses },
      ...{ evicted: this.#evicted, declined: this.#declined },
    };
  }

  /** The state of each slot, by SLOT_STATES; not a copy. */
  get states(): Uint8Array {
    return this.#states;
  }

  /** Slots that are in no state: always 0. */
  unaccounted(): number {
    const { free, staged, registered } = this.stats();
    return this.#slots - free - staged - registered - this.#gone_held;
  }

  #stagedBlock(facts: BlockFacts): Staged {
    return {
      ...facts,
      drop: () => {
        this.#staged.delete(facts.hash);
        this.#giveBack(facts.slot);
      },
      register: (sum) => {
        this.#staged.delete(facts.hash);
        const { hash, parent, slot, priority } = facts;
        const entry = { hash, parent, slot, priority, sum, used: 0, holders: 0, gone: false };
        this.#entries.set(hash, entry);
        this.#children.set(parent, (this.#children.get(parent) ?? 0) + 1);
        this.#touch(entry);
        return this.#hold(entry);
      },
    };
  }

  #hold(entry: Entry): HeldBlock {
    if (entry.holders === 0) {
      this.#held += 1;
      this.#states[entry.slot] = SLOT_STATES.held;
    }
    entry.holders += 1;
    return new HeldBlock(entry, () => {
      entry.holders -= 1;
      if (entry.holders > 0) return;
      this.#held -= 1;
      if (entry.gone) {
        this.#gone_held -= 1;
        this.#giveBack(entry.slot);
      } else {
        this.#states[entry.slot] = SLOT_STATES.registered;
        this.#offer(entry);
      }
    });
  }

  #giveBack(slot: number): void {
    this.#states[slot] = SLOT_STATES.free;
    this.#free.push(slot);
  }

  #touch(entry: Entry): void {
    this.#clock += 1;
    entry.used = this.#clock;
    this.#offer(entry);
  }

  #offer(entry: Entry): void {
    if (this.#mayGo(entry)) this.#leaves.push(entry, entry.priority, entry.used);
  }

  #mayGo(entry: Entry): boolean {
    const isHere = this.#entries.get(entry.hash) === entry;
    return isHere && entry.holders === 0 && !this.#children.has(entry.hash);
  }

  #makeRoom(hash: bigint, priority: number, demanded: boolean): Declined | undefined {
    const oldest = this.#leaves.take(COMPARED);
    const lowest = oldest[0]?.priority;
    if (lowest === undefined) return "full";
    let victim: Entry | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const entry of oldest) {
      if (entry.priority > lowest) continue;
      const asked = this.#frequency.of(entry.hash);
      if (asked < least) [victim, least] = [entry, asked];
    }
    const isWanted =
      demanded ||
      priority > lowest ||
      (priority === lowest && this.#frequency.of(hash) + EXCESS >= least);
    for (const entry of oldest) if (entry !== victim || !isWanted) this.#offer(entry);
    if (!isWanted || victim === undefined) return "unwanted";
    this.#unlist(victim);
    this.#giveBack(victim.slot);
    this.#evicted += 1;
    return undefined;
  }

  #unlist(entry: Entry): void {
    this.#entries.delete(entry.hash);
    const siblings = (this.#children.get(entry.parent) ?? 1) - 1;
    if (siblings > 0) this.#children.set(entry.parent, siblings);
    else {
      this.#children.delete(entry.parent);
      const parent = this.#entries.get(entry.parent);
      if (parent !== undefined) this.#offer(parent);
    }
    this.#onGone(entry.hash, entry.slot);
  }
}
