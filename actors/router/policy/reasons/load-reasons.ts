/** Why a mode that looks at load alone chose its worker, for requests that ask for it. Pure. */
import type { RouteChoice, RouteCost } from "../../../../proto/index.ts";
import { type Candidate, requestsOn } from "../../candidate.ts";
import type { LoadMode } from "../load-modes.ts";
import { TOLD_MOST } from "./reasons.ts";

const why: Readonly<Record<LoadMode, string>> = {
  "round-robin": "it was its turn",
  random: "drawn by chance",
  "least-loaded": "it has the fewest requests",
  "power-of-two": "the one with fewer requests of two that were drawn",
  direct: "the client named it",
};

/** Before the request counts at the worker. */
export function loadChoice(
  mode: LoadMode,
  candidates: readonly Candidate[],
  all: readonly Candidate[],
  chosen: Candidate,
): RouteChoice {
  const told = candidates.map((each) => ({ each, cost: requestsOn(each) }));
  told.sort((one, other) => one.cost - other.cost);
  const least = told.filter(({ each }, at) => at < TOLD_MOST - 1 && each !== chosen);
  const shown = [{ each: chosen, cost: requestsOn(chosen) }, ...least];
  const out = all.filter((each) => !candidates.includes(each));
  return {
    ...{ prefill: false, mode, chosen: chosen.worker, why: why[mode], unit: "requests" },
    ...{ waited_ms: 0, count: all.length },
    workers: [
      ...shown.map(({ each, cost }) => rowOf(each, cost, "")),
      ...out.slice(0, TOLD_MOST - shown.length).map((each) => rowOf(each, 0, "may not take it")),
    ],
  };
}

const rowOf = ({ worker }: Candidate, cost: number, left_out: string): RouteCost => ({
  ...{ worker, cost, overlap_blocks: 0, left_out },
  parts: left_out === "" ? [{ name: "requests", value: cost }] : [],
});
