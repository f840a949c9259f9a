/** Who decides for which model, out of what all planners say; pure. */
import type { PlanPage } from "../planner/planner.ts";
import type { Said } from "./kv-page.ts";

/** One model's, and where it runs. */
export type PlannerRow = PlanPage & {
  /** The process that decides. */
  readonly node: string;
  /** Other planners of this model: they take over when this one is gone. */
  readonly others: readonly { readonly node: string; readonly standing: string }[];
};

/** No planner: the list is empty. */
export type PlannerAnswer = {
  readonly planners: readonly PlannerRow[];
  /** One is to be there and none answers: its process is being started again. */
  readonly gone?: true;
};

/** By model; of several planners the one with the largest epoch decides. Pure. */
export function plannerRows(said: readonly Said[]): PlannerRow[] {
  const all = said.map(({ node, snapshot }) => ({ node, ...(snapshot as unknown as PlanPage) }));
  const models = [...new Set(all.map(({ model }) => model))].sort();
  return models.flatMap((model) => {
    const [first, ...rest] = all
      .filter((each) => each.model === model)
      .sort((a, b) => rank(b) - rank(a) || b.epoch - a.epoch);
    if (first === undefined) return [];
    const others = rest.map(({ node, standing }) => ({ node, standing }));
    return [{ ...first, others }];
  });
}

/** One that waits may have heard of a larger epoch, and decides nothing yet. */
const rank = ({ standing }: PlanPage): number =>
  standing === "stands_by" || standing === "waits" ? 0 : 1;
