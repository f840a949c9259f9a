/** What our own proposal says of the share that it expects, and of the one that is wanted. */
import { expect, test } from "bun:test";
import type { Traffic } from "../../../../actors/planner/pipeline/snapshot.ts";
import { tailStage } from "../../../../actors/planner/propose-tail/tail-stage.ts";
import {
  tail_config as config,
  tail_passes as passes,
  planSnapshot,
  planTraffic,
  planWorkers,
} from "../../../support/planner/plan-cases.ts";

/** @param long_tokens of a prompt of which there are five in a hundred */
function why(long_tokens: number): string {
  const uncached_tokens = { mean: 1_000, p50: 800, p95: long_tokens, p99: 2 * long_tokens };
  const traffic: Traffic = planTraffic({
    ...{ started: 30, ended: 30, isl: 1_000, osl: 100, uncached_tokens },
  });
  let memory = tailStage.start;
  let text = "";
  for (let i = 1; i <= 24; i++) {
    const workers = planWorkers("aggregated", 2, { passes });
    const snapshot = planSnapshot({ at_ms: 5_000 * i, traffic, workers });
    const prediction = { requests: 30, isl: 1_000, osl: 100, interval_ms: 5_000 };
    const staged = tailStage.propose({ config, snapshot, memory, prediction });
    memory = staged.memory;
    text = staged.result[0]?.why ?? "";
  }
  return text;
}

test("where no number of workers holds the share, it says what of the rest is wanted", () => {
  expect(why(1_000)).toMatch(/ within the limits \(wanted: 95\.0 %; planned: 97\.0 %\)\.$/);
  const found = /\(wanted: ([\d.]+) %, 95\.0 % of the ([\d.]+) % that any/.exec(why(20_000));
  const [wanted, best] = [Number(found?.[1]), Number(found?.[2])];
  expect(best).toBeLessThan(100);
  expect(wanted).toBeCloseTo(0.95 * best, 0);
});
