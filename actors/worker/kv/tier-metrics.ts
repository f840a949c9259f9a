/**
 * What a worker moves to and from the tiers beyond its engine, by Dynamo's names: those of its
 * metrics, and with `dynamo_` before them those of its newer boards.
 */
import type { Counter, Labels, Metrics } from "../../../runtime/observe/metrics.ts";
import type { BlockMove } from "../../engine/engine.ts";

const MATCHED = "kvbm_matched_tokens";
const OFFLOADED = "kvbm_offload_blocks_d2h";
const ONBOARDED = "kvbm_onboard_blocks_h2d";
const NOT_MOVED = "troupe_kv_blocks_not_moved_total";

/** Why a block was not moved: the engine's word for it, or it took none of a batch. */
export type NotMoved = Exclude<BlockMove, "moved"> | "refused";

export class TierMetrics {
  readonly #metrics: Metrics;
  readonly #labels: Labels;
  readonly #matched: Counter;
  readonly #offloaded: Counter;
  readonly #onboarded: Counter;
  readonly #whys = new Set<NotMoved>();

  constructor(metrics: Metrics, labels: Labels) {
    this.#metrics = metrics;
    this.#labels = labels;
    const counter = (name: string, help: string) => {
      const made = metrics.counter(name, help, labels);
      metrics.counter(`dynamo_${name}`, help, labels, () => made.value);
      return made;
    };
    this.#matched = counter(MATCHED, "Tokens of prompts that came from beyond the engine.");
    this.#offloaded = counter(OFFLOADED, "Blocks copied from the engine to host memory.");
    this.#onboarded = counter(ONBOARDED, "Blocks copied from host memory to the engine.");
  }

  offloaded(blocks: number): void {
    this.#offloaded.add(blocks);
  }

  onboarded(blocks: number, block_size: number): void {
    this.#onboarded.add(blocks);
    this.#matched.add(blocks * block_size);
  }

  notMoved(why: NotMoved, blocks = 1): void {
    this.#whys.add(why);
    const labels = { ...this.#labels, why };
    this.#metrics.counter(NOT_MOVED, "Blocks that the engine did not move.", labels).add(blocks);
  }

  /** The next life of the worker makes its own. */
  remove(): void {
    for (const name of [MATCHED, OFFLOADED, ONBOARDED]) {
      this.#metrics.remove(name, this.#labels);
      this.#metrics.remove(`dynamo_${name}`, this.#labels);
    }
    for (const why of this.#whys) this.#metrics.remove(NOT_MOVED, { ...this.#labels, why });
  }
}
