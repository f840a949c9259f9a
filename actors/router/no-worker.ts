/** Requests without a worker: how long and how many may wait, and their refusal at the end. */
import type { Refused, Route } from "../../proto/index.ts";
import { type Candidate, isPrefill, modelName } from "./candidate.ts";
import { constraintsOf } from "./policy/constraints.ts";
import { concerning, passes } from "./policy/filter.ts";
import { constraintFilters } from "./policy/filters.ts";
import type { RouterOptions } from "./router-options.ts";

export const noWorkerWait = { wait_ms: 10_000, waiting_max: 1_024 } as const;

/** Between two looks whether a worker is still being started. */
const LOOK_MS = 2_000;

export type Waited = Pick<RouterOptions, "first_worker_ms" | "policy"> & {
  /** By the request, until now. */
  readonly waited_ms: number;
};

/** How much longer a request waits, as a worker is being started; 0: its wait is over. */
export function waitsOnMs(
  route: Route,
  workers: readonly Candidate[],
  { first_worker_ms, waited_ms }: Waited,
): number {
  const { model, pin } = route;
  const served = workers.some((each) => modelName(each) === model && !isPrefill(each));
  const most_ms = pin === "" && !served ? first_worker_ms?.(model) : undefined;
  return most_ms === undefined ? 0 : Math.max(0, Math.min(LOOK_MS, most_ms - waited_ms));
}

export const tooManyWait = (model: string): string =>
  `No worker serves '${model}' at the moment, and as many requests wait for one as may. Try again later.`;

/** The answer has ended, or stays where it is: nobody waits for a plan. */
export const notWanted = (request: string): Refused => ({
  ...{ kind: "refused", request, code: "cancelled", retry_after_ms: 0 },
  message: "This request is over.",
});

/** The worker that answers computes the prompt by itself. */
export const noPrefill = (request: string): Refused => ({
  ...{ kind: "refused", request, code: "no_worker", retry_after_ms: 0 },
  message: "No prefill worker is to be had for this request.",
});

export function whyNoWorker(
  route: Route,
  workers: readonly Candidate[],
  { policy, first_worker_ms, waited_ms }: Waited,
): string {
  const { model, pin, hints } = route;
  const question = { request: constraintsOf(route) };
  const filters = concerning(constraintFilters, question.request);
  const all = workers.filter((each) => modelName(each) === model);
  const serving = all.filter((each) => !isPrefill(each));
  if (policy?.enforce_disagg === true && serving.length > 0 && all.length === serving.length) {
    return (
      `No prefill worker serves '${model}' at the moment, and this server is started with ` +
      "--enforce-disagg. Try again in a few seconds."
    );
  }
  const named = hints?.prefill_worker ?? "";
  if (named !== "" && serving.length > 0 && all.every(({ worker }) => worker !== named)) {
    return (
      `The worker '${named}' that this request names for its prompt does not serve '${model}' at the ` +
      "moment. Try again in a few seconds, or name no prefill_worker_id."
    );
  }
  const others = serving.length > 0 && !serving.some((each) => passes(filters, each, question));
  if (others && pin === "") {
    return (
      `No worker that serves '${model}' may take this request: see the workers that it allows, the ` +
      "taints that it requires and those that it tolerates."
    );
  }
  const seconds = Math.round(waited_ms / 1_000);
  if (pin === "" && first_worker_ms?.(model) !== undefined) {
    return `A worker of '${model}' is being started, and did not serve within ${seconds} s. Try again later.`;
  }
  if (pin === "") {
    return (
      `No worker serves '${model}' at the moment, and none came within ${seconds} s. Try again in a ` +
      "few seconds."
    );
  }
  return (
    `The worker '${pin}' that this request names does not serve '${model}' at the moment. Try ` +
    "again in a few seconds, or name no worker."
  );
}
