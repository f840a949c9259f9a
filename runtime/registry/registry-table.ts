/**
 * A table of names that the registries of several machines share. In one exchange a registry tells
 * its names, renews its lease and hears of changes. The real table is in Redis (redis-table.ts);
 * this file has the contract and a table in memory, for the simulator and for tests.
 *
 *  - Keys belong to holders; a holder is one life of one registry. A key has one holder.
 *  - A holder whose lease ran out is dropped with its keys; a wipe of the table drops all holders.
 *    A holder that hears `unknown` tells all its names again.
 *  - If no holder was heard for half a lease, the table itself was away: every lease begins anew.
 */
import type { Clock } from "../capabilities.ts";

export type TablePut = {
  readonly key: string;
  /** Proposed epoch; a free key gets at least one more than any epoch before. */
  readonly epoch: number;
  readonly bytes: Uint8Array;
};

export type TableEntry = TablePut & { readonly holder: string };

export type Exchange = {
  readonly holder: string;
  readonly lease_ms: number;
  /** True: `put` has all names that this registry holds; else only changed ones. */
  readonly full: boolean;
  readonly put: readonly TablePut[];
  readonly drop: readonly string[];
  /** Version of the last answer: without a change since then the entries are left out. */
  readonly since: string;
};

export type ExchangeAnswer =
  | { readonly kind: "unknown" }
  | {
      readonly kind: "exchanged";
      /** Name of the table's life; another one than before shows that the table was wiped. */
      readonly instance: string;
      readonly version: string;
      /** Epoch of each `put`; 0: another holder has that key. */
      readonly epochs: readonly number[];
      /** The entries of all holders; undefined: unchanged. */
      readonly entries: readonly TableEntry[] | undefined;
    };

export interface SharedTable {
  /** Name of the table for people, without passwords. */
  readonly name: string;
  /** Rejects when the table cannot be reached, within a few seconds. */
  exchange(exchange: Exchange): Promise<ExchangeAnswer>;
  /** Forgets the holder and its keys at once. */
  leave(holder: string): Promise<void>;
  /**
   * Returns the protocol version of the registries in the table. `protocol` is ours; it becomes the
   * table's when no registry is there.
   */
  join(protocol: number): Promise<number>;
  /** Calls `listener` soon after most changes. Returns a function that ends it. */
  onBell(listener: () => void): () => void;
}

class TableAway extends Error {
  override readonly name = "TableAway";
  readonly code = "table_away";
}

export class MemoryTable implements SharedTable {
  readonly name = "memory";
  /** A fault: every exchange fails. */
  away = false;
  readonly #clock: Clock;
  readonly #entries = new Map<string, TableEntry>();
  readonly #leases = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  #lastEpoch = 0;
  #protocol = 0;
  #seen_ms: number;
  #instances = 1;
  #version = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#seen_ms = clock.now_ms();
  }

  /** A fault: the table loses everything. */
  wipe(): void {
    this.#entries.clear();
    this.#leases.clear();
    this.#lastEpoch = 0;
    this.#instances++;
    this.#version = 0;
  }

  async exchange(exchange: Exchange): Promise<ExchangeAnswer> {
    if (this.away) throw new TableAway("the table is away");
    const { holder, lease_ms, full, put, drop, since } = exchange;
    const now_ms = this.#clock.now_ms();
    const before = this.#version;
    if (now_ms - this.#seen_ms > lease_ms / 2) {
      for (const each of this.#leases.keys()) this.#leases.set(each, now_ms + lease_ms);
    }
    this.#seen_ms = now_ms;
    for (const [each, until_ms] of this.#leases) if (until_ms <= now_ms) this.#forget(each);
    if (!full && !this.#leases.has(holder)) return { kind: "unknown" };
    this.#leases.set(holder, now_ms + lease_ms);
    const kept = new Set(put.map(({ key }) => key));
    for (const { key, holder: its } of [...this.#entries.values()]) {
      if (its === holder && (drop.includes(key) || (full && !kept.has(key)))) this.#remove(key);
    }
    const epochs = put.map((each) => this.#put(holder, each));
    if (this.#version !== before) this.#ring();
    const instance = `${this.#instances}`;
    const version = `${instance}:${this.#version}`;
    const entries = version === since ? undefined : [...this.#entries.values()];
    return { kind: "exchanged", instance, version, epochs, entries };
  }

  async leave(holder: string): Promise<void> {
    if (this.away) throw new TableAway("the table is away");
    this.#forget(holder);
    this.#ring();
  }

  async join(protocol: number): Promise<number> {
    if (this.away) throw new TableAway("the table is away");
    if (this.#leases.size === 0) this.#protocol = protocol;
    return this.#protocol;
  }

  onBell(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #put(holder: string, { key, epoch, bytes }: TablePut): number {
    const known = this.#entries.get(key);
    if (known !== undefined && known.holder !== holder) return 0;
    const given = known === undefined ? Math.max(epoch, this.#lastEpoch + 1) : epoch;
    this.#lastEpoch = Math.max(this.#lastEpoch, given);
    const same = known?.epoch === given && Buffer.compare(known.bytes, bytes) === 0;
    this.#entries.set(key, { key, holder, epoch: given, bytes: bytes.slice() });
    if (!same) this.#version++;
    return given;
  }

  #forget(holder: string): void {
    this.#leases.delete(holder);
    for (const [key, entry] of this.#entries) if (entry.holder === holder) this.#remove(key);
  }

  #remove(key: string): void {
    this.#entries.delete(key);
    this.#version++;
  }

  #ring(): void {
    for (const listener of this.#listeners) this.#clock.defer(listener);
  }
}
