/** How long, and how many, wait for a worker when there is none; and what they hear at the end. */
import type { Route } from "../../proto/index.ts";

export const noWorkerWait = { wait_ms: 10_000, waiting_max: 1_024 } as const;

export function whyNoWorker({ model, pin }: Route): string {
  const pinned = pin === "" ? "" : ` under the name ${pin}`;
  return `no worker serves ${model}${pinned} at the moment; try again in a few seconds`;
}
