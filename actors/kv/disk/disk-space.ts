/**
 * A space's blocks on the disk behind the memory: what comes into memory is written through, and
 * what a reader wants comes back into memory.
 *
 *   filled ─▶ queue ─▶ store ─▶ found here          a full or slow disk: left out, and counted
 *   find ────▶ load ─▶ slot of memory ─▶ filled      not what it should be: forgotten, and counted
 *
 * The index is a tier of its own, of as many files as fit into its bytes; who gives way is removed.
 * Nothing is trusted that was not checked when it was read.
 */
import type { BlockRoom } from "../keeper/room.ts";
import {
  type HeldBlock,
  NO_PARENT,
  type PartialBlock,
  parentIn,
  ResetBlock,
  Tier,
} from "../tier/tier.ts";
import type { BlockFiles, FileOutcome, FileResult, SlotShape } from "./block-files.ts";

export type DiskHost = {
  readonly room: BlockRoom;
  readonly files: BlockFiles;
  readonly shape: SlotShape;
  readonly identity: string;
  /** Its sub-folders are there. */
  readonly folder: string;
  readonly capacity_bytes: number;
  readonly now_ms: () => number;
  /** Blocks have come into memory. */
  readonly arrived: () => void;
  /** A block has come to the disk, or left it. */
  readonly changed: (hash: bigint) => void;
  readonly counted: (what: "stored" | "loaded", blocks: number) => void;
};

/** How the disk names itself where slots of memory are reserved. */
const GUEST = "disk";
const PAGE_BYTES = 4096;
/** Files of one space, whatever there is room for: each costs some memory here. */
const FILES_MOST = 4_194_304;
/** Blocks that wait to be stored; more are left out. */
const QUEUE_MOST = 8_192;
const JOB_BLOCKS = 8;
/** Jobs that store at a time; loads go beside them. */
const STORES_MOST = 2;
const LOADS_MOST = 4;
/** A full disk is tried again after a while. */
const FULL_REST_MS = 10_000;
/** A load that takes longer shows a disk that is slower than computing. */
const SLOW_MS = 1_000;
/** Blocks of a row that are loaded for one reader. */
const ROW_MOST = 2_048;

/** A block of a row, and the one before it. */
type Step = { readonly hash: bigint; readonly parent: bigint };

export type DiskStats = Readonly<Record<Exclude<FileOutcome, "ok"> | "stored" | "loaded", number>>;

export class DiskSpace {
  readonly #host: DiskHost;
  readonly #tier: Tier;
  #queue: bigint[] = [];
  #stores = 0;
  #full_until_ms = 0;
  /** Blocks that are being loaded, with what to call then. */
  readonly #loading = new Map<bigint, (() => void)[]>();
  /** When the loads under way began. */
  readonly #loads = new Set<{ readonly begun_ms: number }>();
  #removing: string[] = [];
  #left_out = 0;
  readonly #file_bytes: number;
  readonly #counts: Record<keyof DiskStats, number> = {
    ...{ stored: 0, loaded: 0, missing: 0, torn: 0, foreign: 0, corrupt: 0, full: 0, failed: 0 },
  };

  constructor(host: DiskHost) {
    this.#host = host;
    this.#file_bytes = PAGE_BYTES + Math.ceil(host.shape.block_bytes / PAGE_BYTES) * PAGE_BYTES;
    const files = Math.min(FILES_MOST, Math.floor(host.capacity_bytes / this.#file_bytes));
    this.#tier = new Tier(files, (hash) => {
      host.changed(hash);
      this.#remove(hash);
    });
  }

  /** Sub-folder and name. */
  static nameOf(hash: bigint): string {
    const text = hash.toString(16).padStart(16, "0");
    return `${text.slice(0, 2)}/${text}`;
  }

  /** Slots of memory are read or written by its jobs. */
  get busy(): boolean {
    return this.#stores + this.#loads.size > 0;
  }

  has(hash: bigint): boolean {
    return this.#tier.has(hash);
  }

  hashes(): Iterable<{ readonly hash: bigint; readonly parent: bigint }> {
    return this.#tier.hashes();
  }

  /** The state of each slot; not a copy. */
  get states(): Uint8Array {
    return this.#tier.states;
  }

  stats() {
    const { slots, registered, hits, misses, evicted } = this.#tier.stats();
    const rest = { waiting: this.#queue.length, file_bytes: this.#file_bytes };
    return {
      ...{ slots, registered, hits, misses, evicted },
      ...rest,
      left_out: this.#left_out,
      ...this.#counts,
    };
  }

  /** Files that are in no state: always 0. */
  unaccounted(): number {
    return this.#tier.unaccounted();
  }

  /** A file that was found there; not read yet. Beyond the capacity it is removed. */
  adopt(hash: bigint): void {
    const block = this.#tier.reserve(hash, NO_PARENT);
    if (block instanceof ResetBlock) {
      block.fill().complete(0n).register().release();
      this.#host.changed(hash);
    } else if (block !== "held") this.#remove(hash);
  }

  /** These blocks are in memory now. */
  keep(hashes: Iterable<bigint>): void {
    for (const hash of hashes) {
      if (this.#tier.has(hash)) continue;
      if (this.#queue.length < QUEUE_MOST) this.#queue.push(hash);
      else this.#left_out += 1;
    }
    this.#store();
  }

  /**
   * Brings blocks of the row into memory, from `from` on and without a gap. Returns the number
   * behind the last one; `from`: none comes. Else `ended` is called once, when no more does.
   */
  bring(hashes: ArrayLike<bigint>, from: number, ended: () => void): number {
    if (this.#isSlow()) return from;
    const row: Step[] = [];
    let at = from;
    for (; at < hashes.length && row.length < ROW_MOST; at += 1) {
      const hash = hashes[at]!;
      if (this.#host.room.has(hash)) continue;
      if (this.#tier.match([hash]) === 0) break;
      row.push({ hash, parent: parentIn(hashes, at) });
    }
    if (row.length === 0) return from;
    this.#bringNext(row, ended);
    return at;
  }

  /** As many jobs at a time as may be; the last one of them ends the row. */
  #bringNext(row: Step[], ended: () => void): void {
    let under_way = 0;
    const next = () => {
      while (under_way < LOADS_MOST && row.length > 0) {
        under_way += 1;
        const part = row.splice(0, JOB_BLOCKS);
        this.#load(part, (all) => {
          under_way -= 1;
          // Behind a block that did not come nobody reads.
          if (!all) row.length = 0;
          if (row.length > 0) next();
          else if (under_way === 0) ended();
        });
      }
    };
    next();
  }

  #load(part: readonly Step[], done: (all: boolean) => void): void {
    const { room, files, shape, identity, arrived, counted } = this.#host;
    let left = 1;
    let all = true;
    const one = () => {
      left -= 1;
      if (left === 0) done(all);
    };
    const wanted: { readonly hash: bigint; readonly slot: number; readonly held: HeldBlock }[] = [];
    for (const { hash, parent } of part) {
      const others = this.#loading.get(hash);
      if (others !== undefined) {
        left += 1;
        others.push(one);
        continue;
      }
      const held = this.#tier.hold(hash);
      const [slot] = room.reserve(GUEST, [{ hash, parent, priority: 0, demanded: true }]);
      if (held !== undefined && typeof slot === "number") {
        wanted.push({ hash, slot, held });
        this.#loading.set(hash, []);
        continue;
      }
      held?.release();
      if (slot !== "held") all = false;
    }
    const load = { begun_ms: this.#host.now_ms() };
    const took = (results: readonly FileResult[]) => {
      this.#loads.delete(load);
      for (const [i, { hash, held }] of wanted.entries()) {
        const { outcome, sum } = results[i] ?? FAILED;
        held.release();
        if (outcome === "ok") {
          this.#counts.loaded += 1;
          counted("loaded", 1);
          room.filled(GUEST, hash, sum);
        } else {
          all = false;
          room.dropped(GUEST, hash);
          this.#wrong(hash, outcome);
        }
        const others = this.#loading.get(hash) ?? [];
        this.#loading.delete(hash);
        for (const other of others) other();
      }
      arrived();
      one();
    };
    if (wanted.length === 0) {
      one();
      return;
    }
    const slots = wanted.map(({ slot }) => slot);
    const paths = wanted.map(({ hash }) => this.#path(hash));
    this.#loads.add(load);
    if (!files.load({ shape, slots, paths, identity }, took)) took([]);
  }

  #store(): void {
    const { room, files, shape, identity, now_ms, counted, changed } = this.#host;
    while (
      this.#stores < STORES_MOST &&
      this.#queue.length > 0 &&
      now_ms() >= this.#full_until_ms
    ) {
      const batch: { hash: bigint; held: HeldBlock; partial: PartialBlock }[] = [];
      while (batch.length < JOB_BLOCKS && this.#queue.length > 0) {
        const hash = this.#queue.shift()!;
        const held = room.hold(hash);
        if (held === undefined) continue;
        const reset = this.#tier.reserve(hash, held.parent);
        if (reset instanceof ResetBlock) batch.push({ hash, held, partial: reset.fill() });
        else held.release();
      }
      if (batch.length === 0) return;
      const slots = batch.map(({ held }) => held.slot);
      const paths = batch.map(({ hash }) => this.#path(hash));
      const took = (results: readonly FileResult[]) => {
        this.#stores -= 1;
        for (const [i, { hash, held, partial }] of batch.entries()) {
          held.release();
          const { outcome, sum } = results[i] ?? FAILED;
          if (outcome === "ok") {
            this.#counts.stored += 1;
            counted("stored", 1);
            partial.complete(sum).register().release();
            changed(hash);
          } else {
            partial.drop();
            this.#counts[outcome] += 1;
            if (outcome === "full") this.#full_until_ms = now_ms() + FULL_REST_MS;
          }
        }
        this.#store();
      };
      this.#stores += 1;
      if (files.store({ shape, slots, paths, identity }, took)) continue;
      this.#stores -= 1;
      this.#left_out += batch.length;
      for (const { held, partial } of batch) {
        held.release();
        partial.drop();
      }
      return;
    }
    if (now_ms() < this.#full_until_ms) {
      this.#left_out += this.#queue.length;
      this.#queue = [];
    }
  }

  /** What was read is not what it should be. */
  #wrong(hash: bigint, outcome: Exclude<FileOutcome, "ok">): void {
    this.#counts[outcome] += 1;
    // A disk that could not be read now may be read later.
    if (outcome !== "failed") this.#tier.forget(hash);
  }

  #remove(hash: bigint): void {
    this.#removing.push(this.#path(hash));
    const { files } = this.#host;
    while (this.#removing.length > 0) {
      const paths = this.#removing.slice(0, files.most);
      // What cannot be removed now goes with the next one.
      if (!files.remove(paths, () => {})) return;
      this.#removing.splice(0, paths.length);
    }
  }

  #path(hash: bigint): string {
    return `${this.#host.folder}/${DiskSpace.nameOf(hash)}`;
  }

  #isSlow(): boolean {
    const now_ms = this.#host.now_ms();
    for (const { begun_ms } of this.#loads) if (now_ms - begun_ms > SLOW_MS) return true;
    return false;
  }
}

const FAILED = { outcome: "failed", sum: 0n } as const;
