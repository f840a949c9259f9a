/**
 * The workers of one dispatcher in the order of their places, with the facts that a decision needs
 * about all of them. Changed rows are filled at the next read, so that thousands of workers that
 * come at the same time cost as much as one.
 */
import { CostRows } from "./cost/cost-rows.ts";
import type { PassRates } from "./cost/pass-rates.ts";
import type { PoolFacts } from "./place.ts";
import type { RoutedWorker } from "./worker-state.ts";

const NOBODY = -1;

export class WorkerTable {
  readonly rows = new CostRows();
  readonly #ratesOf: (worker: RoutedWorker) => PassRates | undefined;
  readonly #poolRates: () => PassRates | undefined;
  #members: readonly RoutedWorker[] = [];
  /** Places of rank 0 by slot. Other ranks, which are few, are in `ranked`. */
  #by_slot = new Int32Array(64);
  readonly #ranked = new Map<string, number>();
  #stale: RoutedWorker[] = [];
  #rebuild = false;
  #pool_rates: PassRates | undefined;
  #known: PoolFacts = {
    tainted: undefined,
    room_tokens: 0,
    block_size: 0,
    avoid_until_ms: 0,
    noneAbove: () => true,
  };

  constructor(
    ratesOf: (worker: RoutedWorker) => PassRates | undefined,
    poolRates: () => PassRates | undefined,
  ) {
    this.#ratesOf = ratesOf;
    this.#poolRates = poolRates;
  }

  get workers(): readonly RoutedWorker[] {
    return this.#members;
  }

  set(workers: readonly RoutedWorker[]): void {
    this.#members = workers;
    this.#rebuild = true;
  }

  /** A fact in `facts` may have changed, because one worker changed; seldom. */
  factsChanged(): void {
    this.#rebuild = true;
  }

  facts(): PoolFacts {
    if (this.#rebuild) this.#build();
    return this.#known;
  }

  /** Place of this rank of the worker in that slot; -1: it is not here. */
  find(slot: number, rank: number): number {
    if (this.#rebuild) this.#build();
    if (rank !== 0) return this.#ranked.get(`${slot} ${rank}`) ?? NOBODY;
    return slot < this.#by_slot.length ? this.#by_slot[slot]! : NOBODY;
  }

  /** Brings all rows up to date. */
  refresh(): void {
    if (this.#rebuild) this.#build();
    const pool = this.#poolRates();
    if (pool !== this.#pool_rates) {
      this.#pool_rates = pool;
      for (const worker of this.#members) if (worker.rates === undefined) this.#mark(worker);
    }
    const stale = this.#stale;
    for (let i = 0; i < stale.length; i++) {
      const worker = stale[i]!;
      worker.stale = false;
      this.rows.fill(worker.at, worker, this.#ratesOf(worker));
    }
    stale.length = 0;
  }

  #mark(worker: RoutedWorker): void {
    if (worker.stale) return;
    worker.stale = true;
    this.#stale.push(worker);
  }

  #build(): void {
    this.#rebuild = false;
    const members = this.#members;
    this.rows.reserve(members.length);
    this.#by_slot.fill(NOBODY);
    this.#ranked.clear();
    this.#stale = [];
    let room_tokens = Number.POSITIVE_INFINITY;
    let avoid_until_ms = 0;
    for (const [at, worker] of members.entries()) {
      const { slot, rank, total_blocks, block_size } = worker;
      worker.at = at;
      worker.changed = this.#stale;
      worker.stale = false;
      this.#mark(worker);
      if (rank === 0) this.#putSlot(slot, at);
      else this.#ranked.set(`${slot} ${rank}`, at);
      avoid_until_ms = Math.max(avoid_until_ms, worker.avoid_until_ms);
      room_tokens = Math.min(room_tokens, total_blocks * block_size);
    }
    const block_size = members[0]?.block_size ?? 0;
    const alike = members.every((worker) => worker.block_size === block_size);
    const tainted = members.find(({ taints }) => taints.length > 0)?.taints[0];
    this.#known = {
      tainted,
      room_tokens,
      block_size: alike ? block_size : 0,
      avoid_until_ms,
      noneAbove: (share, tokens) => {
        this.refresh();
        return this.rows.noneAbove(share, tokens, members.length);
      },
    };
  }

  #putSlot(slot: number, at: number): void {
    if (slot >= this.#by_slot.length) {
      const larger = new Int32Array(2 * (slot + 1)).fill(NOBODY);
      larger.set(this.#by_slot);
      this.#by_slot = larger;
    }
    this.#by_slot[slot] = at;
  }
}
