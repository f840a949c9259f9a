/**
 * The face of the index: the router's knowledge of each worker's cache.
 *
 *   exact        from the worker's own events
 *   predicted    prompts sent to such a worker a moment ago, which its events do not show yet, so
 *                that a burst of requests with one prefix does not scatter
 *   approximate  prompts sent to a worker that publishes no events
 *
 * A lookup asks all three and takes for each rank of each worker the largest answer.
 */
import type { HashPairs } from "../../../llm/blocks/block-table.ts";
import type { KvTier } from "../../../llm/blocks/kv-event.ts";
import { AgedBlocks } from "./aged-blocks.ts";
import { BlockIndex } from "./block-index.ts";
import { CacheMatches, grown, TIERS } from "./cache-matches.ts";

/** "none": the worker never reuses a block, so it has no entries. */
export type CacheSource = "events" | "approximate" | "none";

export type CacheIndexOptions = {
  /**
   * Blocks of one tier of one rank that are kept exactly; more are refused and counted, which
   * leaves the older, shorter prefixes in. Default 8,388,608 (about 200 MB).
   */
  readonly blocks_max?: number;
  /** How long a worker without events is taken to keep a prompt. Default 120,000. */
  readonly approximate_ttl_ms?: number;
  /** 0 = no predictions. Default 5,000. */
  readonly predicted_ttl_ms?: number;
};

type Rank = {
  readonly group: number;
  /** Owner in the exact index, by tier. */
  readonly exact: (number | undefined)[];
  predicted: number | undefined;
  approximate: number | undefined;
};

type Slot = {
  readonly source: CacheSource;
  readonly ranks: Map<number, Rank>;
  refused_blocks: number;
};

export const tierNumbers: Readonly<Record<KvTier, number>> = {
  device: 0,
  host: 1,
  disk: 2,
  external: 3,
};

const BLOCKS_MAX = 8_388_608;
/** Ranks that one worker may name: garbage must not fill the tables. */
export const RANKS_MAX = 1_024;

export class CacheIndex {
  readonly #names = { slots: new Int32Array(64), ranks: new Int32Array(64) };
  readonly #exact: BlockIndex;
  readonly #approximate: AgedBlocks;
  readonly #predicted: AgedBlocks | undefined;
  readonly #guesses: readonly AgedBlocks[];
  readonly #guessed = new CacheMatches();
  readonly #workers: (Slot | undefined)[] = [];
  readonly #free_groups: number[] = [];
  #groups_end = 0;
  #changes = 0;

  constructor(options: CacheIndexOptions = {}) {
    const { approximate_ttl_ms = 120_000, predicted_ttl_ms = 5_000 } = options;
    this.#exact = new BlockIndex(this.#names, options.blocks_max ?? BLOCKS_MAX);
    this.#approximate = new AgedBlocks(this.#names, approximate_ttl_ms);
    if (predicted_ttl_ms > 0) this.#predicted = new AgedBlocks(this.#names, predicted_ttl_ms);
    this.#guesses = [
      this.#approximate,
      ...(this.#predicted === undefined ? [] : [this.#predicted]),
    ];
  }

  /** Changes with each change that may affect a lookup, except the passing of time. */
  get version(): number {
    return this.#changes;
  }

  /** A small number that names the worker here until `removeWorker`; numbers are used again. */
  addWorker(source: CacheSource): number {
    this.#changes++;
    const free = this.#workers.indexOf(undefined);
    const slot = free < 0 ? this.#workers.length : free;
    this.#workers[slot] = { source, ranks: new Map(), refused_blocks: 0 };
    return slot;
  }

  /** Removes all entries of the worker at once; `sweep` frees the memory later. */
  removeWorker(slot: number): void {
    this.#changes++;
    const worker = this.#workers[slot];
    if (worker === undefined) return;
    this.#forget(worker);
    this.#workers[slot] = undefined;
  }

  /** Sets the source of a worker's entries (its events or sent prompts) and drops old entries. */
  setSource(slot: number, source: CacheSource): void {
    this.#changes++;
    const worker = this.#workers[slot];
    if (worker === undefined || worker.source === source) return;
    this.#forget(worker);
    this.#workers[slot] = { source, ranks: new Map(), refused_blocks: 0 };
  }

  source(slot: number): CacheSource | undefined {
    return this.#workers[slot]?.source;
  }

  /** The worker's cache holds these now. */
  stored(slot: number, rank: number, tier: number, hashes: HashPairs): void {
    this.#changes++;
    const worker = this.#workers[slot];
    if (worker === undefined) return;
    const owner = this.#exactOwner(slot, worker, rank, tier);
    if (owner === undefined) worker.refused_blocks += hashes.length >>> 1;
    else worker.refused_blocks += this.#exact.store(owner, hashes);
  }

  /** Returns how many of these blocks the worker was not known to hold. */
  removed(slot: number, rank: number, tier: number, hashes: HashPairs): number {
    this.#changes++;
    const owner = this.#workers[slot]?.ranks.get(rank)?.exact[tier];
    return owner === undefined ? hashes.length >>> 1 : this.#exact.remove(owner, hashes);
  }

  /** This tier of this rank is empty; without them, all of the worker. */
  cleared(slot: number, rank?: number, tier?: number): void {
    this.#changes++;
    const worker = this.#workers[slot];
    if (worker === undefined) return;
    for (const [number, each] of worker.ranks) {
      if (rank !== undefined && number !== rank) continue;
      for (let t = 0; t < TIERS; t++) {
        const owner = each.exact[t];
        if (owner === undefined || (tier !== undefined && t !== tier)) continue;
        this.#exact.removeOwner(owner);
        each.exact[t] = undefined;
      }
      if (each.predicted !== undefined) this.#predicted?.removeOwner(each.predicted);
      each.predicted = undefined;
    }
  }

  /** A prompt with these leading blocks is being sent there. */
  routed(slot: number, rank: number, hashes: HashPairs, count: number, now_ms: number): void {
    this.#changes++;
    const worker = this.#workers[slot];
    if (worker === undefined || worker.source === "none") return;
    const each = this.#rankOf(slot, worker, rank);
    if (each === undefined) return;
    if (worker.source === "approximate") {
      each.approximate ??= this.#approximate.addOwner(each.group);
      if (each.approximate === undefined) return;
      this.#approximate.name(each.approximate, hashes, count, now_ms);
    } else if (this.#predicted !== undefined) {
      each.predicted ??= this.#predicted.addOwner(each.group);
      if (each.predicted === undefined) return;
      this.#predicted.name(each.predicted, hashes, count, now_ms);
    }
  }

  /** Fills `out` for the first `count` blocks of a prompt; workers that hold none are not in it. */
  match(hashes: HashPairs, count: number, out: CacheMatches, now_ms: number): void {
    const guessed = this.#guessed;
    this.#exact.match(hashes, count, out);
    for (const guess of this.#guesses) {
      guess.match(hashes, count, guessed, now_ms);
      if (guessed.count > 0) out.merge(guessed);
    }
  }

  /** Frees memory for a millisecond or two; call it now and then. True: there is more to do. */
  sweep(): boolean {
    const more = [this.#exact, ...this.#guesses].map((each) => each.sweep(1));
    return more.includes(true);
  }

  /** Blocks that one worker is known or guessed to hold, all ranks and tiers. */
  blocksOf(slot: number): number {
    let blocks = 0;
    for (const { exact, approximate } of this.#workers[slot]?.ranks.values() ?? []) {
      for (const owner of exact) if (owner !== undefined) blocks += this.#exact.heldBy(owner);
      if (approximate !== undefined) blocks += this.#approximate.heldBy(approximate);
    }
    return blocks;
  }

  /** Blocks refused since the worker came, because it has more than one may. */
  refusedOf(slot: number): number {
    return this.#workers[slot]?.refused_blocks ?? 0;
  }

  get bytes(): number {
    return this.#exact.bytes + this.#approximate.bytes + (this.#predicted?.bytes ?? 0);
  }

  #forget(worker: Slot): void {
    for (const { group, exact, predicted, approximate } of worker.ranks.values()) {
      for (const owner of exact) if (owner !== undefined) this.#exact.removeOwner(owner);
      if (predicted !== undefined) this.#predicted?.removeOwner(predicted);
      if (approximate !== undefined) this.#approximate.removeOwner(approximate);
      this.#free_groups.push(group);
    }
  }

  #exactOwner(slot: number, worker: Slot, rank: number, tier: number): number | undefined {
    const each = this.#rankOf(slot, worker, rank);
    if (each === undefined) return undefined;
    each.exact[tier] ??= this.#exact.addOwner(each.group, tier);
    return each.exact[tier];
  }

  #rankOf(slot: number, worker: Slot, rank: number): Rank | undefined {
    const known = worker.ranks.get(rank);
    if (known !== undefined) return known;
    if (worker.ranks.size >= RANKS_MAX) return undefined;
    const group = this.#free_groups.pop() ?? this.#groups_end++;
    if (group >= this.#names.slots.length) {
      this.#names.slots = grown(this.#names.slots, group + 1);
      this.#names.ranks = grown(this.#names.ranks, group + 1);
    }
    this.#names.slots[group] = slot;
    this.#names.ranks[group] = rank;
    const made = { group, exact: [], predicted: undefined, approximate: undefined };
    worker.ranks.set(rank, made);
    return made;
  }
}
