/**
 * What a keeper of blocks has and moves, by Dynamo's names: those of its metrics, and with
 * `dynamo_` before them those of its newer boards.
 */
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
    const counter = (name: string, help: string) => {
      const made = metrics.counter(name, help);
      metrics.counter(`dynamo_${name}`, help, {}, () => made.value);
      return made;
    };
    const gauge = (name: string, help: string, read: () => number) => {
      for (const each of [name, `dynamo_${name}`]) metrics.gauge(each, help, {}, read);
    };
    this.#stored = counter("kvbm_offload_blocks_h2d", "Blocks written from memory to disk.");
    this.#loaded = counter("kvbm_onboard_blocks_d2d", "Blocks read from disk for a prompt.");
    const host = () => rateOf(spaces().map(({ room }) => room.stats()));
    gauge("kvbm_host_cache_hit_rate", "Of blocks that workers asked for.", host);
    const disks = () =>
      rateOf(spaces().flatMap(({ disk }) => (disk === undefined ? [] : [disk.stats()])));
    gauge("kvbm_disk_cache_hit_rate", "Of those that memory did not have.", disks);
  }

  stored(blocks: number): void {
    this.#stored.add(blocks);
  }

  loaded(blocks: number): void {
    this.#loaded.add(blocks);
  }
}
