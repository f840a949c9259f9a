/** Requests without a worker: how long and how many may wait, and their refusal at the end. */
import type { Route } from "../../proto/index.ts";
import { type Candidate, modelName } from "./candidate.ts";
import { constraintsOf } from "./policy/constraints.ts";
import { concerning, passes } from "./policy/filter.ts";
import { constraintFilters } from "./policy/filters.ts";

export const noWorkerWait = { wait_ms: 10_000, waiting_max: 1_024 } as const;

export const tooManyWait = (model: string): string =>
  `No worker serves '${model}' at the moment, and as many requests wait for one as may. Try again later.`;

export function whyNoWorker(route: Route, workers: readonly Candidate[]): string {
  const { model, pin } = route;
  const question = { request: constraintsOf(route) };
  const filters = concerning(constraintFilters, question.request);
  const serving = workers.filter((each) => modelName(each) === model);
  const others = serving.length > 0 && !serving.some((each) => passes(filters, each, question));
  if (others && pin === "") {
    return (
      `No worker that serves '${model}' may take this request: see the workers that it allows, the ` +
      "taints that it requires and those that it tolerates."
    );
  }
  if (pin === "") return `No worker serves '${model}' at the moment. Try again in a few seconds.`;
  return (
    `The worker '${pin}' that this request names does not serve '${model}' at the moment. Try ` +
    "again in a few seconds, or name no worker."
  );
}
