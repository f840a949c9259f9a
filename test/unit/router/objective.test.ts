import { expect, test } from "bun:test";
import { mockerOptions } from "../../../actors/engine/mocker/options.ts";
import { polynomialTiming } from "../../../actors/engine/mocker/timing.ts";
import {
  DEFAULT_OBJECTIVE,
  type RouterObjective,
  routerObjectives,
  weightsFor,
} from "../../../actors/router/policy/cost/objective.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { KvReplayRouter } from "../../bench/replay/replay-router.ts";
import { reportOf } from "../../bench/replay/report.ts";
import { simulate } from "../../bench/replay/simulate.ts";
import { readSyntheticOptions, syntheticTrace } from "../../bench/replay/synthetic.ts";
import { BLOCK, dispatcherOf, placeRequest, range } from "../../support/worlds/routed-workers.ts";

test("from first tokens to whole answers no weight becomes less", () => {
  const [ttft, goodput, e2e] = (["ttft", "goodput", "e2e"] as const).map((each) =>
    Object.values(weightsFor(each)),
  );
  for (const [i, weight] of goodput!.entries()) {
    expect(weight).toBeGreaterThanOrEqual(ttft![i]!);
    expect(weight).toBeLessThanOrEqual(e2e![i]!);
  }
  expect(weightsFor("ttft", 1)).toEqual(weightsFor("e2e"));
  expect(routerObjectives).toContain(DEFAULT_OBJECTIVE);
});

/** Agents in bursts: many come at once with the same long beginning. */
function figures(objective: RouterObjective, seed: number) {
  const text = `requests=600,isl=6000,osl=150,rate=24,groups=30,shared=0.7,burst=16,seed=${seed}`;
  const trace = syntheticTrace(readSyntheticOptions(text), 512);
  const mocker = mockerOptions({ block_size: 512, num_gpu_blocks: 512 });
  const limits = { block_size: 512, total_blocks: 512, batch_tokens: 8_192 };
  const random = new SeededRandom(1);
  const router = new KvReplayRouter({ name: "adaptive", objective }, 8, limits, random);
  const settings = {
    ...{ workers: 8, mocker, timing: polynomialTiming, trace_block_size: 512 },
    ...{ arrival_speedup: 1, lag_ms: 0, concurrency: 0 },
  };
  const { ttft_ms, e2e_ms } = reportOf(simulate(trace, settings, router), 0);
  return { ttft: ttft_ms.mean, p99: ttft_ms.p99, e2e: e2e_ms.mean };
}

test("each objective is good at what it is for, in virtual time", () => {
  for (const seed of [11, 12]) {
    const ttft = figures("ttft", seed);
    const e2e = figures("e2e", seed);
    expect(ttft.ttft).toBeLessThan(e2e.ttft);
    expect(ttft.p99).toBeLessThan(e2e.p99);
    expect(e2e.e2e).toBeLessThan(ttft.e2e);
  }
}, 30_000);

/** A dispatcher that has learned: a token takes 1 ms. */
function learned(objective: RouterObjective) {
  const { dispatcher, workers } = dispatcherOf({ name: "adaptive", objective }, 1);
  const load = { used_blocks: 0, running: 0, waiting: 0, waiting_prefill_tokens: 0 };
  for (let i = 1; i <= 8; i++) {
    dispatcher.reported(workers[0]!.key, load, 0, {
      prefill_passes: 1,
      prefill_tokens: 10 * i,
      prefill_tokens_squared: 100 * i * i,
      decode_passes: 0,
      decode_share: 0,
      busy_ms: 10 * i,
    });
  }
  // 128 of 512 tokens of a pass before it: busy for the late binding of one objective alone.
  dispatcher.offer(placeRequest(range(8)), 0);
  expect(dispatcher.next(0)).toMatchObject({ kind: "placed" });
  const late = placeRequest(range(10, 100));
  dispatcher.offer(late, 0);
  return { dispatcher, late, own_ms: 10 * BLOCK };
}

test("ttft: a request binds late, but for a third of its own work at most", () => {
  const { dispatcher, late, own_ms } = learned("ttft");
  expect(dispatcher.next(0.25 * own_ms)).toBeUndefined();
  expect(dispatcher.next(0.35 * own_ms)).toMatchObject({ kind: "placed", request: late });
});

test("goodput: a request goes at once when its worker has a quarter of a pass to do", () => {
  const { dispatcher, late } = learned("goodput");
  expect(dispatcher.next(0)).toMatchObject({ kind: "placed", request: late });
});
