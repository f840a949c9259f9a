/** What acting over the inspector's door works with. */
import type { PoolMessage } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActLog } from "./act-log.ts";

export type ActsOptions = {
  readonly log: ActLog;
  /** Of all machines that have workers. */
  readonly pools: () => readonly Ref<PoolMessage>[];
  readonly router: {
    /** The routers' mode, and the weights that hold. */
    page(): Promise<object>;
    /** `null` takes one back to what the flags say. Rejects with one line that says why. */
    change(weights: Readonly<Record<string, number | null>>): Promise<{
      readonly page: object;
      readonly before: Readonly<Record<string, number | null>>;
      readonly told: number;
      readonly silent: number;
    }>;
  };
  /** The present cluster as YAML for `--config`. */
  readonly config: () => Promise<string>;
};
