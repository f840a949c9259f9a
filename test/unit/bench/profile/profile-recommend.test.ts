import { expect, test } from "bun:test";
import { polynomialTiming } from "../../../../actors/engine/mocker/timing.ts";
import { curvesOf } from "../../../bench/profile/curves.ts";
import { engineOf, noNotes } from "../../../bench/profile/engine.ts";
import { profileReport } from "../../../bench/profile/html.ts";
import { profileOptions } from "../../../bench/profile/options.ts";
import { type Asked, frontier, recommend, waitMs } from "../../../bench/profile/recommend.ts";
import { frontierText, recommendationText } from "../../../bench/profile/recommend-table.ts";
import { traceMeans } from "../../../bench/profile/trace-means.ts";

/** An engine with Dynamo's polynomials and a million tokens of KV cache. */
const max_kv_tokens = 1_048_576;
function curves() {
  const draw_ms = (in_flight: number, context: number) =>
    polynomialTiming.decodeMs({
      ...{ sequences: in_flight, context_tokens: in_flight * context },
      ...{ used_kv_tokens: in_flight * context, total_kv_tokens: max_kv_tokens },
    });
  const prefill = [100, 400, 1000, 2000, 3000, 4000, 6000, 8000].map((isl) => ({
    ...{ isl, cached_tokens: 0 },
    ttft_ms: polynomialTiming.prefillMs(isl) + draw_ms(1, isl),
  }));
  const decode = [100, 1000, 3000, 8000].flatMap((isl) =>
    [1, 16, 32, 64, 96, 120].map((in_flight) => ({
      ...{ isl, in_flight, context_tokens: isl + 32 },
      itl_ms: draw_ms(in_flight, isl + 32),
    })),
  );
  return curvesOf(prefill, decode, max_kv_tokens, 64, 1);
}
const engine = engineOf(curves(), noNotes);

const asked: Asked = {
  sla: { ttft_ms: 300, itl_ms: 20 },
  demand: { isl: 3000, osl: 150, kv_hit_rate: 0 },
  requests_per_s: 20,
  gpus: undefined,
  autoscale: false,
};

test("what was measured is what the formulas are given", () => {
  expect(engine.limits.max_seqs).toBe(120);
  expect(engine.limits.max_kv_tokens).toBe(max_kv_tokens);
  const { reachable } = recommend(engine, asked);
  const prefill_ms = polynomialTiming.prefillMs(3000);
  expect(reachable.ttft_ms).toBeCloseTo(prefill_ms + 5.74 + 0.15, 1);
  // A hundred shares of the cache are told apart.
  expect(Math.abs(reachable.itl_ms - 5.74 - (54.01 * 3075) / max_kv_tokens)).toBeLessThan(0.2);
  // Of a thirtieth of a prompt in each pass, on average: some passes have a whole one.
  const passes = engine.passes(3075, 3000);
  const alone = passes.passMs({ prefill_tokens: 0, requests: 8, kv_tokens: 8 * 3075 });
  const mixed = passes.passMs({ prefill_tokens: 100, requests: 8, kv_tokens: 8 * 3075 });
  expect(mixed - alone).toBeCloseTo(prefill_ms / 30, 1);
});

test("the fewest GPUs for a load, and one fewer of any role is too few", () => {
  const { best, candidates, pick } = recommend(engine, asked);
  expect(pick).toBe("load-match");
  expect(best?.holds).toBe(true);
  expect(best?.capacity_per_s).toBeGreaterThanOrEqual(20);
  const fewer = candidates.filter(({ gpus }) => gpus < (best?.gpus ?? 0));
  expect(fewer.length).toBeGreaterThan(0);
  for (const one of fewer) expect(one.holds).toBe(false);
  for (const one of candidates.filter(({ holds }) => holds)) {
    expect(one.ttft_ms).toBeLessThanOrEqual(300);
    expect(one.itl_ms).toBeLessThanOrEqual(20);
  }
  // Twice the load, about twice the GPUs; a looser SLA, never more.
  const twice = recommend(engine, { ...asked, requests_per_s: 40 }).best?.gpus ?? 0;
  expect(twice).toBeGreaterThan(best?.gpus ?? 0);
  const loose = { ...asked, sla: { ttft_ms: 2000, itl_ms: 60 } };
  expect(recommend(engine, loose).best?.gpus).toBeLessThanOrEqual(best?.gpus ?? 0);
  // What a cache has is not computed.
  const cached = { ...asked, demand: { ...asked.demand, kv_hit_rate: 0.8 } };
  expect(recommend(engine, cached).best?.gpus).toBeLessThan(best?.gpus ?? 0);
});

test("the most requests for a budget: every split of it is looked at", () => {
  const { best, candidates, pick } = recommend(engine, {
    ...asked,
    requests_per_s: undefined,
    gpus: 6,
  });
  expect(pick).toBe("default");
  expect(candidates).toHaveLength(6);
  for (const { gpus, holds, capacity_per_s } of candidates) {
    expect(gpus).toBe(6);
    if (holds) expect(capacity_per_s).toBeLessThanOrEqual(best?.capacity_per_s ?? 0);
  }
});

test("one worker of each role for a planner to begin with", () => {
  const { candidates, pick } = recommend(engine, { ...asked, autoscale: true });
  expect(pick).toBe("autoscale");
  expect(candidates.map(({ workers }) => workers)).toContainEqual({
    kind: "disaggregated",
    prefill: 1,
    decode: 1,
  });
  expect(candidates.map(({ gpus }) => gpus).sort()).toEqual([1, 2]);
});

test("an SLA that nothing holds: what is reachable, or what budget it takes", () => {
  const impossible = { ...asked, gpus: 8, sla: { ttft_ms: 20, itl_ms: 5 } };
  const none = recommend(engine, impossible);
  expect(none.best).toBeUndefined();
  expect(none.beyond_budget).toBeUndefined();
  const text = recommendationText(impossible, none);
  expect(text).toContain("Nothing holds this.");
  expect(text).toContain("A lone prompt takes 71.7 ms");
  expect(text).toContain("A lone answer takes 6 ms");
  const poor = recommend(engine, { ...asked, gpus: 1 });
  expect(poor.best).toBeUndefined();
  expect(poor.beyond_budget?.gpus).toBe(recommend(engine, asked).best?.gpus);
  expect(recommendationText({ ...asked, gpus: 1 }, poor)).toContain("It takes 3 GPUs");
});

test("no point of the frontier is beaten by another one", () => {
  const points = frontier(engine, asked.demand);
  expect(points.length).toBeGreaterThan(20);
  expect(new Set(points.map(({ kind }) => kind)).size).toBe(2);
  for (const one of points) {
    for (const other of points) {
      const better =
        other.tokens_per_s_per_gpu > one.tokens_per_s_per_gpu &&
        other.ttft_ms < one.ttft_ms &&
        other.itl_ms < one.itl_ms;
      expect(better).toBe(false);
    }
  }
  expect(frontierText(points).split("\n").length).toBeLessThan(26);
});

test("the wait for a prefill worker", () => {
  // One server: Pollaczek and Khinchine's mean for constant times, busy / (2 (1 - busy)).
  expect(waitMs(100, 1, 5)).toBeCloseTo(50, 6);
  expect(waitMs(100, 1, 8)).toBeCloseTo(200, 6);
  expect(waitMs(100, 1, 0)).toBe(0);
  expect(waitMs(100, 1, 10)).toBe(Number.POSITIVE_INFINITY);
  expect(waitMs(100, 4, 20)).toBeLessThan(waitMs(100, 1, 5));
});

test("a trace's means, and its flags", () => {
  const row = (arrival_ms: number | undefined, input_length: number) => ({
    ...{ arrival_ms, input_length, output_length: 10, hash_ids: [], after: [], delay_ms: 0 },
    ...{ id: "r", policy_class: undefined, session: undefined, strict_priority: 0 },
  });
  const means = traceMeans([row(1000, 100), row(2000, 300), row(undefined, 200), row(3000, 200)]);
  expect(means).toEqual({ isl: 200, osl: 10, requests_per_s: 2 });
  expect(traceMeans([row(5, 100)]).requests_per_s).toBeUndefined();

  const refused = (...args: string[]) => {
    try {
      profileOptions(args, {});
    } catch (error) {
      return (error as Error).message;
    }
    return "taken";
  };
  expect(refused("--rate", "3")).toContain("--isl and --osl");
  expect(refused("--isl", "3", "--osl", "3")).toContain("--autoscale");
  expect(refused("--trace", "/no/such", "--gpus", "2")).toContain("there is no file");
  expect(refused("--trace", "x", "--isl", "2")).toContain("leave out --isl");
  expect(refused("--from", "f", "--url", "http://a")).toContain("leave out --url");
  expect(refused("--gpus", "0", "--isl", "3", "--osl", "3")).toContain("--gpus 0");
  expect(profileOptions(["--gpus", "2", "--isl", "3", "--osl", "4"], {}).asked).toEqual({
    sla: { ttft_ms: 500, itl_ms: 50 },
    demand: { isl: 3, osl: 4, kv_hit_rate: 0 },
    requests_per_s: undefined,
    gpus: 2,
    autoscale: false,
  });
});

test("the report stands alone and has all plots", () => {
  const recommended = {
    asked,
    found: recommend(engine, asked),
    points: frontier(engine, asked.demand),
  };
  const page = profileReport(noNotes, curves(), ["a < b"], recommended);
  expect(page.match(/<svg/g)).toHaveLength(6);
  expect(page).toContain("3 workers");
  expect(page).toContain("a &lt; b");
  expect(page).not.toMatch(/(src|href)=/);
  expect(profileReport(noNotes, curves(), [], undefined).match(/<svg/g)).toHaveLength(4);
});
