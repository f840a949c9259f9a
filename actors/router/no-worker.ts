/** How long, and how many, wait for a worker when there is none; and what they hear at the end. */
import type { Route } from "../../proto/index.ts";
import type { Candidate } from "./candidate.ts";
import { mayTake, servesModel } from "./policy.ts";

export const noWorkerWait = { wait_ms: 10_000, waiting_max: 1_024 } as const;

export function whyNoWorker(route: Route, workers: readonly Candidate[]): string {
  const { model, pin } = route;
  const serving = workers.filter((each) => servesModel(each, route));
  const others = serving.length > 0 && !serving.some((each) => mayTake(each, route));
  if (others && pin === "") {
    return `no worker that serves ${model} may take this request: see its allowed workers, its required taints and the taints that it tolerates`;
  }
  const pinned = pin === "" ? "" : ` under the name ${pin}`;
  return `no worker serves ${model}${pinned} at the moment; try again in a few seconds`;
}
