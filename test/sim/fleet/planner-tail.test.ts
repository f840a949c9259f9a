/**
 * Our own proposal for an SLA over whole replays in virtual time: it comes back from a burst as
 * soon as workers can start, follows a swing without flapping, and leaves a steady load alone.
 */
import { expect, test } from "bun:test";
import { mockerOptions } from "../../../actors/engine/mocker/options.ts";
import { polynomialTiming } from "../../../actors/engine/mocker/timing.ts";
import { plannerConfigOf } from "../../../actors/planner/pipeline/read-config.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { attainment, decisionLines, planFigures } from "../../bench/replay/plan/plan-figures.ts";
import { PlannerDriver } from "../../bench/replay/plan/planner-driver.ts";
import { KvReplayRouter } from "../../bench/replay/replay-router.ts";
import { simulate } from "../../bench/replay/simulate.ts";
import { readSyntheticOptions, syntheticTrace } from "../../bench/replay/synthetic.ts";

const sla = { ttft_ms: 500, itl_ms: 50 };
const startup_ms = 30_000;
const mocker = mockerOptions({ block_size: 512, num_gpu_blocks: 2_048 });
const limits = { block_size: 512, total_blocks: 2_048, batch_tokens: 8_192 };

function replayed(shape: string, workers: number, marks = {}) {
  const trace = syntheticTrace(readSyntheticOptions(`${shape},isl=2000,osl=150,groups=8`), 512);
  const { config } = plannerConfigOf({
    ...{ mode: "agg", optimization_target: "sla", load_predictor: "constant", ...sla },
  });
  const driver = new PlannerDriver(
    config,
    { startup_ms: () => startup_ms, role_change_ms: 1_000 },
    { curves: undefined, history: [] },
  );
  const random = new SeededRandom(1);
  const router = new KvReplayRouter({ name: "adaptive" }, workers, limits, random, 0);
  const result = simulate(
    trace,
    {
      ...{ workers, mocker, timing: polynomialTiming, trace_block_size: 512, arrival_speedup: 1 },
      ...{ lag_ms: 0, concurrency: 0, plan: driver.rules() },
    },
    router,
  );
  const lines = decisionLines(driver.decisions);
  const sides = { sla, sla_share: config.sla_share, marks, out_of_reach: 0 };
  const figures = planFigures(result, lines, sides);
  return { figures, result, decisions: driver.decisions, share: attainment(result.records, sla) };
}

test("after a burst of ten times the load it holds the SLA as soon as workers can be there", () => {
  const jump_ms = 100_000;
  const { figures } = replayed("shape=burst,rate=8,factor=10,at_s=100,for_s=120", 1, { jump_ms });
  const interval_ms = 5_000;
  expect(figures.recovery_ms).toBeGreaterThan(0);
  expect(figures.recovery_ms).toBeLessThanOrEqual(startup_ms + 2 * interval_ms);
});

test("a swing is followed up and down once in each period, within the SLA", () => {
  const { figures, share } = replayed("shape=sine,low=5,high=45,period_s=600,periods=2", 1, {
    period_ms: 600_000,
  });
  expect(figures.reversals_a_period).toBeLessThanOrEqual(1);
  expect(share).toBeGreaterThan(0.95);
});

test.each([1, 2, 3])("a steady load is left alone once its size is known (seed %d)", (seed) => {
  const { figures, share } = replayed(`requests=9000,rate=20,seed=${seed}`, 3);
  // At the start all is new to it: it may take one step that it takes back.
  expect(figures.reversals).toBeLessThanOrEqual(1);
  expect(share).toBeGreaterThan(0.99);
});
