import { expect, test } from "bun:test";
import fc from "fast-check";
import { adaptiveScorer } from "../../../actors/router/policy/cost/adaptive-cost.ts";
import { dynamoScorer, taintFactor } from "../../../actors/router/policy/cost/dynamo-cost.ts";
import { RateEstimator } from "../../../actors/router/policy/cost/pass-rates.ts";
import { LoadBook } from "../../../actors/router/policy/load-book.ts";
import { TIER_COUNT } from "../../../actors/router/policy/place.ts";
import {
  backlogTokens,
  report,
  requestsThere,
  usedShare,
} from "../../../actors/router/policy/worker-state.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import {
  BLOCK,
  placeOf,
  placeRequest,
  range,
  worker,
} from "../../support/worlds/routed-workers.ts";

test("dynamo: scale × (active prefill + prompt − credits) + decode blocks", () => {
  const book = new LoadBook();
  const [a, b] = [worker("a"), worker("b")];
  book.begin(placeRequest(range(6, 100)), a, 4 * BLOCK, 0);
  const place = placeOf(placeRequest(range(10)), [a, b], [3, 0]);
  const cost = dynamoScorer();
  // a: 4 active prefill + 10 new − 3 cached, and 6 + 10 decode blocks.
  expect(cost(place, 0)).toBe(4 + 10 - 3 + 16);
  expect(cost(place, 1)).toBe(10 + 10);
  expect(dynamoScorer({ prefill_load_scale: 16 })(place, 0)).toBe(16 * 11 + 16);
  expect(dynamoScorer({ decode_active_request_weight: 5 })(place, 0)).toBe(11 + 16 + 5);
  expect(dynamoScorer({ lmetric: true })(place, 0)).toBe(11 * 17);
});

test("dynamo: each tier has its credit, and more credit than work is no bonus", () => {
  const place = placeOf(placeRequest(range(10)), [worker("a")]);
  place.cached_blocks.set([2, 4, 4, 0]);
  expect(dynamoScorer()(place, 0)).toBe(10 - (2 + 3 + 1) + 10);
  place.cached_blocks.set([0, 0, 0, 4]);
  expect(dynamoScorer()(place, 0)).toBe(20);
  expect(dynamoScorer({ shared_cache_multiplier: 0.5 })(place, 0)).toBe(10 - 2 + 10);
  place.cached_blocks.set([10, 0, 0, 0]);
  expect(dynamoScorer({ overlap_score_credit: 3 })(place, 0)).toBe(10);
});

test("dynamo: credit decays with the excess of prefill, in units of the request", () => {
  const book = new LoadBook();
  const [a, b] = [worker("a"), worker("b")];
  book.begin(placeRequest(range(10, 100)), a, 10 * BLOCK, 0);
  const place = placeOf(placeRequest(range(10)), [a, b], [8, 0]);
  const cost = dynamoScorer({ overlap_score_credit_decay: 1 });
  expect(cost(place, 0)).toBe(10 + 10 - 8 / 2 + 20);
});

test("dynamo: blocks that are active there already are counted once", () => {
  const book = new LoadBook();
  const a = worker("a");
  book.begin(placeRequest(range(8)), a, 8 * BLOCK, 0);
  const place = placeOf(placeRequest(range(10)), [a], [8]);
  expect(dynamoScorer()(place, 0)).toBe(8 + 10 - 8 + 10);
});

test("preferred taints multiply by exp(−tanh of the sum)", () => {
  const workers = [worker("a", 0, ["fast", "near"]), worker("b", 1, ["far"])];
  const request = placeRequest(range(1), { preferred_taints: { fast: 2, near: 1, far: -50 } });
  const place = placeOf(request, workers);
  expect(taintFactor.of(place, 0)).toBeCloseTo(Math.exp(-Math.tanh(3)), 12);
  expect(taintFactor.of(place, 1)).toBeCloseTo(Math.E, 12);
});

test("what a router that is gone had sent counts until the worker's next word", () => {
  const book = new LoadBook();
  const a = worker("a");
  const load = (requests: number) => {
    const [used_blocks, waiting_prefill_tokens] = [requests * 8, requests * 8 * BLOCK];
    return { used_blocks, waiting_prefill_tokens, running: requests, waiting: 0 };
  };
  const seen = () => [usedShare(a), backlogTokens(a, 0), requestsThere(a)];
  const send = (i: number) =>
    book.begin(placeRequest(range(8, 100 * i), { request: `${i}` }), a, 8 * BLOCK, 0, true);
  send(0);
  report(a, load(1));
  send(1);
  const before = seen();
  expect(before).toEqual([16 / a.total_blocks, 16 * BLOCK, 2]);
  book.lose("0", 0);
  book.lose("1", 0);
  expect(seen()).toEqual(before);
  expect([a.active_blocks, a.prefill_tokens, a.requests, book.size]).toEqual([0, 0, 0, 0]);
  report(a, load(0));
  expect(seen()).toEqual([0, 0, 0]);
});

test("the book balances: after every request ended nothing is left", () => {
  const step = fc.record({
    shared: fc.nat(5),
    own: fc.nat(5),
    tail: fc.nat(BLOCK - 1),
    at: fc.nat(2),
  });
  const run = fc.array(fc.record({ begin: step, ends: fc.nat(3), first: fc.boolean() }));
  fc.assert(
    fc.property(run, (steps) => {
      const book = new LoadBook();
      const workers = [worker("a"), worker("b", 1), worker("c", 2)];
      const live: string[] = [];
      let now_ms = 0;
      for (const [number, { begin, ends, first }] of steps.entries()) {
        const ids = [...range(begin.shared), ...range(begin.own, 100 * (number + 1))];
        const prompt_tokens = ids.length * BLOCK + begin.tail;
        const request = placeRequest(ids, { prompt_tokens });
        book.begin(request, workers[begin.at]!, prompt_tokens, now_ms++);
        live.push(request.request);
        if (first) book.firstToken(live[0]!, now_ms++);
        for (let i = 0; i < ends && live.length > 1; i++) book.end(live.shift()!, now_ms++);
        for (const each of workers) {
          expect(each.prefill_tokens).toBeGreaterThanOrEqual(0);
          expect(each.active_blocks).toBeGreaterThanOrEqual(each.uses.size);
        }
      }
      for (const request of live) book.end(request, now_ms);
      for (const each of workers) {
        const { prefill_tokens, active_blocks, requests, uses, prefilling } = each;
        expect({ prefill_tokens, active_blocks, requests }).toEqual({
          prefill_tokens: 0,
          active_blocks: 0,
          requests: 0,
        });
        expect(uses.size + prefilling.size + book.size).toBe(0);
      }
    }),
    { numRuns: 200 },
  );
});

test("a long prompt that is nearly done is a small backlog, but never none", () => {
  const book = new LoadBook();
  const a = worker("a");
  const request = placeRequest(range(100));
  book.begin(request, a, 1_600, 1_000);
  expect(backlogTokens(a, 1_000, 2)).toBe(1_600);
  expect(backlogTokens(a, 2_000, 2)).toBe(1_100);
  expect(backlogTokens(a, 99_000, 2)).toBeCloseTo(160, 6);
  book.firstToken(request.request, 99_000);
  expect(backlogTokens(a, 99_000, 2)).toBe(0);
});

test("what others sent is seen in the worker's own report", () => {
  const book = new LoadBook();
  const a = worker("a");
  book.begin(placeRequest(range(10)), a, 160, 0);
  report(a, { used_blocks: 400, running: 9, waiting: 1, waiting_prefill_tokens: 1_000 });
  expect(backlogTokens(a, 0)).toBe(1_000);
  book.begin(placeRequest(range(10, 50)), a, 160, 0);
  expect(backlogTokens(a, 0)).toBe(1_160);
  expect(usedShare(a)).toBeCloseTo(0.41, 12);
});

const inputs = {
  rates: () => ({
    prefill_pass_ms: 0,
    token_ms: 1,
    token_squared_ms: 0,
    decode_pass_ms: 0,
    decode_full_ms: 0,
  }),
  promptLoad: () => 0.28,
  outputTokens: () => 100,
};

test("adaptive: cached work outweighs backlog, the more so the more requests wait", () => {
  const book = new LoadBook();
  const [warm, idle] = [worker("a"), worker("b", 1)];
  // Backlog 480 tokens at the warm worker, which has 6 of 10 blocks: 96 tokens less to compute.
  book.begin(placeRequest(range(30, 500)), warm, 480, 0);
  const cost = adaptiveScorer(inputs);
  const request = placeRequest(range(10));
  const calm = placeOf(request, [warm, idle], [6, 0], 0);
  expect(cost(calm, 0)).toBeGreaterThan(cost(calm, 1));
  const crowded = placeOf(request, [warm, idle], [6, 0], 8);
  expect(cost(crowded, 0)).toBeLessThan(cost(crowded, 1));
});

test("adaptive: a warm worker that many are answered at is left alone, unless all are like that", () => {
  const cost = adaptiveScorer(inputs);
  const request = placeRequest(range(10));
  const busy = (name: string, slot: number, running: number) => {
    const each = worker(name, slot);
    report(each, { used_blocks: 0, running, waiting: 0, waiting_prefill_tokens: 0 });
    return each;
  };
  const one = placeOf(request, [busy("a", 0, 4), busy("b", 1, 0)], [4, 0]);
  expect(cost(one, 0)).toBeGreaterThan(cost(one, 1));
  const idle = placeOf(request, [busy("a", 0, 0), busy("b", 1, 0)], [4, 0]);
  expect(cost(idle, 0)).toBeLessThan(cost(idle, 1));
  const all = placeOf(request, [busy("a", 0, 64), busy("b", 1, 60)], [4, 0]);
  expect(cost(all, 0)).toBeLessThan(cost(all, 1));
});

test("adaptive: before anybody reported, tokens are compared with tokens", () => {
  const unknown = { ...inputs, rates: () => undefined };
  const place = placeOf(placeRequest(range(10)), [worker("a"), worker("b", 1)], [0, 5]);
  const cost = adaptiveScorer(unknown);
  expect(cost(place, 1)).toBeLessThan(cost(place, 0));
});

test("adaptive: costs are finite whatever is reported", () => {
  const count = fc.nat(1_000_000);
  const load = fc.record({
    used_blocks: count,
    running: count,
    waiting: count,
    waiting_prefill_tokens: count,
  });
  fc.assert(
    fc.property(load, fc.nat(10), fc.nat(1_000), (reported, cached, queued) => {
      const a = worker("a");
      report(a, reported);
      const place = placeOf(placeRequest(range(10)), [a], [cached], queued);
      expect(Number.isFinite(adaptiveScorer(inputs)(place, 0))).toBe(true);
    }),
  );
});

test("rates are found again from noisy sums over many passes, however they are cut", () => {
  const truth = {
    prefill_pass_ms: 16,
    token_ms: 0.015,
    token_squared_ms: 4e-7,
    decode_pass_ms: 6,
    decode_full_ms: 30,
  };
  const random = new SeededRandom(7);
  const estimator = new RateEstimator();
  for (let number = 0; number < 400; number++) {
    const sums = {
      prefill_passes: 0,
      prefill_tokens: 0,
      prefill_tokens_squared: 0,
      decode_passes: 0,
      decode_share: 0,
      busy_ms: 0,
    };
    for (let pass = 0; pass <= number % 5; pass++) {
      const tokens = random.unit() < 0.5 ? Math.floor(random.unit() * 8_192) : 0;
      const share = random.unit();
      if (tokens > 0) {
        sums.prefill_passes++;
        sums.prefill_tokens += tokens;
        sums.prefill_tokens_squared += tokens * tokens;
        sums.busy_ms += truth.prefill_pass_ms + truth.token_ms * tokens;
        sums.busy_ms += truth.token_squared_ms * tokens * tokens;
      }
      sums.decode_passes++;
      sums.decode_share += share;
      sums.busy_ms += truth.decode_pass_ms + truth.decode_full_ms * share;
    }
    estimator.observe({ ...sums, busy_ms: sums.busy_ms * (0.98 + 0.04 * random.unit()) });
  }
  const rates = estimator.rates()!;
  expect(rates.token_ms).toBeGreaterThan(0.013);
  expect(rates.token_ms).toBeLessThan(0.017);
  expect(Math.abs(rates.prefill_pass_ms - 16)).toBeLessThan(4);
  expect(Math.abs(rates.decode_full_ms - 30)).toBeLessThan(4);
});

const stepsOnly = (passes: number, share: number, busy_ms: number) => ({
  prefill_passes: 0,
  prefill_tokens: 0,
  prefill_tokens_squared: 0,
  decode_passes: passes,
  decode_share: passes * share,
  busy_ms,
});

/** Equal to a worker's that computes a token in 0.015 ms, prompt by prompt. */
function learnedPool(): RateEstimator {
  const pool = new RateEstimator();
  const random = new SeededRandom(11);
  for (let i = 0; i < 400; i++) {
    const tokens = 1 + Math.floor(2_000 * random.unit());
    const busy_ms = 16 + 0.015 * tokens + 4e-7 * tokens ** 2 + 6 + 15;
    pool.observe({
      ...stepsOnly(1, 0.5, busy_ms),
      prefill_passes: 1,
      prefill_tokens: tokens,
      prefill_tokens_squared: tokens ** 2,
    });
    const share = random.unit();
    pool.observe(stepsOnly(8, share, 8 * (6 + 30 * share)));
  }
  return pool;
}

test("the pool speaks for a newcomer whose first reports say little of prompts", () => {
  // As seen of a worker whose machine had been stopped: its first report covers 14 s.
  const reports = [
    {
      ...stepsOnly(2_294, 0.0077, 14_280),
      prefill_passes: 7,
      prefill_tokens: 2_793,
      prefill_tokens_squared: 1_693_000,
    },
    ...[4, 8, 8, 7, 8, 8, 8].map((passes, i) =>
      stepsOnly(passes, 0.015 + 0.0001 * i, 6.57 * passes),
    ),
  ];
  const learned = (prior?: RateEstimator) => {
    const estimator = new RateEstimator(prior);
    for (const report of reports) estimator.observe(report);
    return estimator.rates()?.token_ms ?? Number.NaN;
  };
  expect(learned()).toBeGreaterThan(0.03);
  expect(learned(learnedPool())).toBeGreaterThan(0.01);
  expect(learned(learnedPool())).toBeLessThan(0.02);
});

test("what a worker said of itself counts against the pool, and is forgotten while it idles", () => {
  const slow = new RateEstimator(learnedPool());
  for (let i = 1; i <= 400; i++) {
    const tokens = 500 + ((i * 37) % 1_000);
    slow.observe({
      ...stepsOnly(0, 0, 16 + 0.15 * tokens),
      prefill_passes: 1,
      prefill_tokens: tokens,
      prefill_tokens_squared: tokens ** 2,
    });
  }
  expect(slow.rates()?.token_ms).toBeGreaterThan(0.1);
  for (let i = 0; i < 600; i++) slow.observe(stepsOnly(0, 0, 0));
  expect(slow.rates()?.token_ms).toBeLessThan(0.03);
});

test("rates follow a worker that becomes slower, and are never negative or not a number", () => {
  const pass = (n: number) => ({
    prefill_passes: 1,
    prefill_tokens: n,
    prefill_tokens_squared: n * n,
    decode_passes: 0,
    decode_share: 0,
  });
  const estimator = new RateEstimator();
  const random = new SeededRandom(3);
  expect(estimator.rates()).toBeUndefined();
  for (const token_ms of [0.01, 0.05]) {
    for (let i = 0; i < 3_000; i++) {
      const n = 1 + Math.floor(random.unit() * 4_000);
      estimator.observe({ ...pass(n), busy_ms: token_ms * n });
    }
    expect(estimator.rates()?.token_ms).toBeCloseTo(token_ms, 2);
  }
  estimator.observe({ ...pass(Number.NaN), busy_ms: 5 });
  estimator.observe({ ...pass(100), busy_ms: Number.NaN });
  for (let i = 0; i < 16; i++) estimator.observe({ ...pass(100), busy_ms: 5 });
  for (const rate of Object.values(estimator.rates()!)) expect(rate).toBeGreaterThanOrEqual(0);
  expect(TIER_COUNT).toBe(4);
});
