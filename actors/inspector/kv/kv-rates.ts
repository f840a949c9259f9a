/** Hits and evictions a second, out of two looks at the tiers. Pure. */
import type { KvPage, KvTierRow } from "../kv-page.ts";

export type KvTierRates = KvTierRow & {
  readonly hits_per_s: number;
  readonly misses_per_s: number;
  readonly evicted_per_s: number;
  /** Of what was asked for since the look before; null: nothing was. */
  readonly hit_share: number | null;
};

export type KvRatesPage = {
  readonly workers: readonly {
    readonly worker: string;
    readonly role: string;
    readonly tiers: readonly KvTierRates[];
  }[];
};

/** @param before undefined, or `elapsed_ms` 0: there was no look before, and no rates */
export function kvRates(before: KvPage | undefined, now: KvPage, elapsed_ms: number): KvRatesPage {
  const known = new Map<string, KvTierRow>();
  for (const { worker, tiers } of before?.workers ?? []) {
    for (const tier of tiers) known.set(`${worker} ${tier.tier}`, tier);
  }
  const workers = now.workers.map(({ worker, role, tiers }) => ({
    ...{ worker, role },
    tiers: tiers.map((tier) => ratesOf(known.get(`${worker} ${tier.tier}`), tier, elapsed_ms)),
  }));
  return { workers };
}

function ratesOf(before: KvTierRow | undefined, now: KvTierRow, elapsed_ms: number): KvTierRates {
  // A worker that counts less than before is another one, of which nothing is known yet.
  const since = before !== undefined && isBehind(before, now) ? before : now;
  const perSecond = (field: "hits" | "misses" | "evicted") =>
    elapsed_ms > 0 ? Math.round((100_000 * (now[field] - since[field])) / elapsed_ms) / 100 : 0;
  const hits = now.hits - since.hits;
  const asked = hits + now.misses - since.misses;
  return {
    ...now,
    hits_per_s: perSecond("hits"),
    misses_per_s: perSecond("misses"),
    evicted_per_s: perSecond("evicted"),
    hit_share: asked > 0 ? Math.round((1_000 * hits) / asked) / 1_000 : null,
  };
}

const isBehind = (before: KvTierRow, now: KvTierRow): boolean =>
  before.hits <= now.hits && before.misses <= now.misses && before.evicted <= now.evicted;
