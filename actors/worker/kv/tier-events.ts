/**
 * Blocks that the keeper has, as events of this worker's cache: to routers they are in a slower tier
 * of each worker of the machine.
 */
import type { KvEvent, KvTier } from "../../../llm/blocks/kv-event.ts";
import type { KvTierNews } from "../../../proto/index.ts";
import { hashesIn } from "../../kv/kv.ts";

const TIERS = ["host", "disk"] as const satisfies readonly KvTier[];

export class TierEvents {
  readonly #publish: (event: KvEvent) => void;
  /** Of the next news. */
  #number = 0;
  #told = false;

  constructor(publish: (event: KvEvent) => void) {
    this.#publish = publish;
  }

  /** False: some were lost; what was told is void, and has to be told anew. */
  take(news: KvTierNews): boolean {
    if (news.number !== this.#number) return false;
    this.#number += 1;
    if (news.anew) this.#clear();
    this.#told = true;
    for (const tier of TIERS) {
      const [here, gone] = [hashesIn(news[tier]), hashesIn(news[`${tier}_gone`])];
      const origin = { event_id: 0, dp_rank: 0, tier };
      if (gone.length > 0) this.#publish({ kind: "removed", ...origin, sequence_hashes: gone });
      if (here.length === 0) continue;
      // Only the names count: of other blocks than an engine's nobody asks for more.
      const run = { parent_hash: undefined, start_block: 0, local_hashes: new BigUint64Array() };
      this.#publish({ kind: "stored", ...origin, ...run, sequence_hashes: here });
    }
    return true;
  }

  /** The space is closed: nothing is known. */
  closed(): void {
    this.#number = 0;
    this.#clear();
  }

  #clear(): void {
    if (!this.#told) return;
    this.#told = false;
    for (const tier of TIERS) {
      this.#publish({ kind: "cleared", event_id: 0, dp_rank: 0, tier });
    }
  }
}
