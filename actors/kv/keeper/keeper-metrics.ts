/** What a keeper of blocks has and moves, by Dynamo's names. */
import type { Counter, Metrics } from "../../../runtime/observe/metrics.ts";
import type { Space } from "./spaces.ts";

const rateOf = (tiers: readonly { readonly hits: number; readonly misses: number }[]): number => {
  const hits = tiers.reduce((sum, tier) => sum + tier.hits, 0);
  const asked = tiers.reduce((sum, tier) => sum + tier.hits + tier.misses, 0);
  return asked === 0 ? 0 : hits / asked;
};

export class KeeperMetrics {
  readonly #stored: Counter;
  readonly #loaded: Counter;

  /** They live as long as the process, as the keeper does. */
  constructor(metrics: Metrics, spaces: () => readonly Space[]) {
    this.#stored = metrics.counter(
      "kvbm_offload_blocks_h2d",
      "Blocks written from memory to disk.",
    );
    this.#loaded = metrics.counter(
      "kvbm_onboard_blocks_d2d",
      "Blocks read from disk for a prompt.",
    );
    const host = () => rateOf(spaces().map(({ room }) => room.stats()));
    metrics.gauge("kvbm_host_cache_hit_rate", "Of blocks that workers asked for.", {}, host);
    const disks = () =>
      rateOf(spaces().flatMap(({ disk }) => (disk === undefined ? [] : [disk.stats()])));
    metrics.gauge("kvbm_disk_cache_hit_rate", "Of those that memory did not have.", {}, disks);
  }

  stored(blocks: number): void {
    this.#stored.add(blocks);
  }

  loaded(blocks: number): void {
    this.#loaded.add(blocks);
  }
}
