/**
 * A registry's part in the shared table: it tells the names registered here, hears of names
 * registered elsewhere, and keeps the last known set while the table is away. The registry grants
 * names by itself then; two owners of one name are settled when the table is back.
 */
import type { Clock, Log } from "../capabilities.ts";
import type {
  Exchange,
  ExchangeAnswer,
  SharedTable,
  TableEntry,
  TablePut,
} from "./registry-table.ts";

export type SharedOptions = {
  readonly table: SharedTable;
  /** This registry's name and life: unique for each start. */
  readonly holder: string;
  /** 10,000. */
  readonly lease_ms?: number;
};

interface SharedHost {
  readonly clock: Clock;
  readonly log: Log;
  /** An exchange is due: the actor calls `begin` in a turn of its own. */
  due(): void;
  /** An exchange has ended: the actor passes the answer or error to `answered` in a turn. */
  came(answer: ExchangeAnswer | Error): void;
  /** The entry registered here under `key`. */
  mine(key: string): TablePut | undefined;
  /** Keys of everything that is registered here. */
  mineKeys(): Iterable<string>;
  /** Entries registered elsewhere, and keys that are not any more. */
  changed(put: readonly TableEntry[], removed: readonly string[]): void;
  /** Another machine has a key that was granted here while the table was away. */
  lost(key: string): void;
  /** The table gave another epoch than ours. */
  settled(key: string, epoch: number): void;
  /** The table went away, or is back. */
  turned(away: boolean): void;
}

type Claim = { readonly put: TablePut; readonly then: (held: boolean, epoch: number) => void };

/** Time between two exchanges, which renew the lease and find changes after a lost bell. */
const PERIOD_MS = 1_000;
const RETRY_MS = 250;
const LEASE_MS_DEFAULT = 10_000;

export class SharedNames {
  /** True until the first answer, and while the table is not reached. */
  away = true;
  readonly lease_ms: number;
  readonly #table: SharedTable;
  readonly #holder: string;
  readonly #host: SharedHost;
  readonly #foreign = new Map<string, TableEntry>();
  /** Entries that a wiped table lost, and until when their registries may tell them again. */
  readonly #doubtful = new Map<string, number>();
  /** Entries of an earlier life of this registry, and until when owners may register again. */
  readonly #inherited = new Map<string, number>();
  readonly #puts = new Set<string>();
  readonly #drops = new Set<string>();
  #claims: Claim[] = [];
  #underWay: { exchange: Exchange; claims: readonly Claim[] } | undefined = undefined;
  #since = "";
  #instance = "";
  /** The table may have names of an earlier life of this registry, so not all are told at first. */
  #known = true;
  #shaken = false;
  #dueAt_ms = 0;
  #dueTold = false;

  constructor(options: SharedOptions, host: SharedHost) {
    this.#table = options.table;
    this.#holder = options.holder;
    this.lease_ms = options.lease_ms ?? LEASE_MS_DEFAULT;
    this.#host = host;
  }

  get table(): string {
    return this.#table.name;
  }

  foreign(key: string): TableEntry | undefined {
    return this.#foreign.get(key);
  }

  get foreignCount(): number {
    return this.#foreign.size;
  }

  /** A key granted here is new or has another value. */
  put(key: string): void {
    this.#drops.delete(key);
    this.#puts.add(key);
    this.#soon();
  }

  drop(key: string): void {
    this.#puts.delete(key);
    this.#drops.add(key);
    this.#soon();
  }

  /** Claims a key without a known owner; `then` is called in a turn. Only while not away. */
  claim(put: TablePut, then: Claim["then"]): void {
    this.#claims.push({ put, then });
    this.#soon();
  }

  /** Called now and then. */
  tick(): void {
    const now_ms = this.#host.clock.now_ms();
    const removed = [...this.#doubtful].filter(([, until_ms]) => until_ms <= now_ms);
    for (const [key] of removed) {
      this.#doubtful.delete(key);
      this.#foreign.delete(key);
    }
    if (removed.length > 0)
      this.#host.changed(
        [],
        removed.map(([key]) => key),
      );
    for (const [key, until_ms] of this.#inherited) {
      if (until_ms > now_ms) continue;
      this.#inherited.delete(key);
      if (this.#host.mine(key) === undefined) this.drop(key);
    }
    if (now_ms >= this.#dueAt_ms) this.#soon();
  }

  /** Another registry changed the table. */
  bell(): void {
    this.#soon();
  }

  begin(): void {
    this.#dueTold = false;
    if (this.#underWay !== undefined) return;
    const full = !this.#known;
    const keys = full ? this.#host.mineKeys() : this.#puts;
    const claims = this.#claims;
    const put = claims.map((claim) => claim.put);
    for (const key of keys) {
      const mine = this.#host.mine(key);
      if (mine !== undefined) put.push(mine);
    }
    const exchange: Exchange = {
      holder: this.#holder,
      lease_ms: this.lease_ms,
      full,
      put,
      drop: [...this.#drops],
      since: this.#since,
    };
    this.#claims = [];
    this.#puts.clear();
    this.#drops.clear();
    this.#underWay = { exchange, claims };
    this.#table.exchange(exchange).then(
      (answer) => this.#host.came(answer),
      (error: unknown) => this.#host.came(error instanceof Error ? error : new Error(`${error}`)),
    );
  }

  answered(answer: ExchangeAnswer | Error): void {
    const underWay = this.#underWay;
    this.#underWay = undefined;
    if (underWay === undefined) return;
    const { exchange, claims } = underWay;
    if (answer instanceof Error) this.#failed(claims, answer);
    else if (answer.kind === "unknown") this.#sayAll(claims);
    else this.#took(exchange, claims, answer);
    if (this.#puts.size + this.#drops.size + this.#claims.length > 0 && !this.away) this.#soon();
  }

  async leave(): Promise<void> {
    await this.#table.leave(this.#holder);
  }

  #soon(): void {
    if (this.#dueTold || this.#underWay !== undefined) return;
    // While the table is away, only the clock starts a new attempt.
    if (this.away && this.#host.clock.now_ms() < this.#dueAt_ms) return;
    this.#dueTold = true;
    this.#host.due();
  }

  #failed(claims: readonly Claim[], error: Error): void {
    this.#dueAt_ms = this.#host.clock.now_ms() + RETRY_MS;
    this.#known = false;
    this.#shaken = true;
    this.#turn(true, error.message);
    for (const { then } of claims) then(true, 0);
  }

  #sayAll(claims: readonly Claim[]): void {
    this.#known = false;
    this.#claims = [...claims, ...this.#claims];
    this.#soon();
  }

  #took(
    { put }: Exchange,
    claims: readonly Claim[],
    answer: ExchangeAnswer & { readonly kind: "exchanged" },
  ): void {
    const { instance, version, epochs, entries } = answer;
    const wiped = this.#instance !== "" && this.#instance !== instance;
    this.#dueAt_ms = this.#host.clock.now_ms() + Math.min(PERIOD_MS, this.lease_ms / 3);
    this.#known = true;
    this.#instance = instance;
    this.#since = version;
    put.forEach(({ key, epoch }, index) => {
      const given = epochs[index] ?? 0;
      if (given === 0) this.#since = "";
      if (index < claims.length) return;
      if (given === 0) this.#host.lost(key);
      else if (given !== epoch) this.#host.settled(key, given);
    });
    if (entries !== undefined) this.#hear(entries, wiped || this.#shaken);
    this.#shaken = false;
    this.#turn(false, "");
    claims.forEach(({ then }, index) => {
      const given = epochs[index] ?? 0;
      then(given > 0, given);
    });
  }

  /** After a wipe, missing entries are kept for a lease: their registry may tell them again. */
  #hear(entries: readonly TableEntry[], afterLoss: boolean): void {
    const until_ms = this.#host.clock.now_ms() + this.lease_ms;
    const missing = new Set(this.#foreign.keys());
    const put: TableEntry[] = [];
    for (const entry of entries) {
      const { key, holder, epoch, bytes } = entry;
      if (holder === this.#holder) {
        const isOurs = this.#host.mine(key) !== undefined || this.#drops.has(key);
        if (!isOurs && !this.#inherited.has(key)) this.#inherited.set(key, until_ms);
        continue;
      }
      missing.delete(key);
      this.#doubtful.delete(key);
      const known = this.#foreign.get(key);
      this.#foreign.set(key, entry);
      const same = known?.holder === holder && known.epoch === epoch;
      if (!same || Buffer.compare(known.bytes, bytes) !== 0) put.push(entry);
    }
    const removed: string[] = [];
    for (const key of missing) {
      if (this.#doubtful.has(key)) continue;
      if (afterLoss) {
        this.#doubtful.set(key, until_ms);
        continue;
      }
      this.#foreign.delete(key);
      removed.push(key);
    }
    if (put.length + removed.length > 0) this.#host.changed(put, removed);
  }

  #turn(away: boolean, why: string): void {
    if (this.away === away) return;
    this.away = away;
    const { log } = this.#host;
    const what = { table: this.#table.name };
    if (away) {
      log.log("warn", "the shared registry is away; the last known set stays", { ...what, why });
    } else log.log("info", "the shared registry answers", what);
    this.#host.turned(away);
  }
}
