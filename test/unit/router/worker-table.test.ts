/**
 * Thousands of workers are compared by rows of numbers that follow what changes. What that chooses
 * is what a look at every worker by itself would choose.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { adaptiveScan, adaptiveScorer } from "../../../actors/router/policy/cost/adaptive-cost.ts";
import type { PassRates } from "../../../actors/router/policy/cost/pass-rates.ts";
import { busyFilters, kvFilters } from "../../../actors/router/policy/filters.ts";
import { LoadBook } from "../../../actors/router/policy/load-book.ts";
import { type Place, TIER_COUNT } from "../../../actors/router/policy/place.ts";
import { pickLeast, type Selection, select } from "../../../actors/router/policy/select.ts";
import { type RoutedWorker, report, touch } from "../../../actors/router/policy/worker-state.ts";
import { WorkerTable } from "../../../actors/router/policy/worker-table.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import {
  BLOCK,
  dispatcherOf,
  placeRequest,
  range,
  worker,
} from "../../support/worlds/routed-workers.ts";

const busy = { active_decode_blocks: 0.9, active_prefill_tokens: 3_000 };
const ms = fc.double({ min: 0.001, max: 50, noNaN: true });
const rates: fc.Arbitrary<PassRates> = fc.record({
  prefill_pass_ms: ms,
  token_ms: ms,
  token_squared_ms: ms,
  decode_pass_ms: ms,
  decode_full_ms: ms,
});
const at = fc.nat(11);
const step = fc.oneof(
  fc.record({ kind: fc.constant("begin"), at, shared: fc.nat(4), own: fc.nat(4), n: fc.nat(400) }),
  fc.record({ kind: fc.constant("first"), which: fc.nat(20) }),
  fc.record({ kind: fc.constant("end"), which: fc.nat(20) }),
  fc.record({
    kind: fc.constant("report"),
    at,
    load: fc.record({
      used_blocks: fc.nat(1_200),
      running: fc.nat(40),
      waiting: fc.nat(40),
      waiting_prefill_tokens: fc.nat(5_000),
    }),
  }),
  fc.record({ kind: fc.constant("rates"), at, rates: fc.option(rates, { nil: undefined }) }),
  fc.record({ kind: fc.constant("leave"), at }),
);
type Step = {
  readonly kind: string;
  readonly at?: number;
  readonly which?: number;
  readonly shared?: number;
  readonly own?: number;
  readonly n?: number;
  readonly load?: Parameters<typeof report>[1];
  readonly rates?: PassRates | undefined;
};

/** A table, the book that its workers' requests are in, and the pool's rates. */
class Pool {
  readonly book = new LoadBook();
  pool_rates: PassRates | undefined;
  workers = range(12).map((i) => worker(`w${i}`, i));
  readonly table = new WorkerTable(
    (each) => each.rates ?? this.pool_rates,
    () => this.pool_rates,
  );
  readonly live: string[] = [];
  now_ms = 0;

  constructor() {
    this.table.set(this.workers);
  }

  take(step: Step, number: number): void {
    this.now_ms += 3;
    const each: RoutedWorker = this.workers[(step.at ?? 0) % this.workers.length]!;
    const live = this.live[(step.which ?? 0) % Math.max(1, this.live.length)] ?? "";
    if (step.kind === "begin") {
      const ids = [...range(step.shared ?? 0), ...range(step.own ?? 0, 100 * (number + 1))];
      const request = placeRequest(ids, { prompt_tokens: ids.length * BLOCK + 3 });
      this.book.begin(request, each, step.n ?? 0, this.now_ms);
      this.live.push(request.request);
    } else if (step.kind === "first") this.book.firstToken(live, this.now_ms);
    else if (step.kind === "end") this.book.end(live, this.now_ms);
    else if (step.kind === "report" && step.load !== undefined) report(each, step.load);
    else if (step.kind === "rates" && step.at === 0) this.pool_rates = step.rates;
    else if (step.kind === "rates") {
      each.rates = step.rates;
      touch(each);
    } else if (step.kind === "leave" && this.workers.length > 1) {
      this.book.forget(each, this.now_ms);
      this.workers = this.workers.filter((other) => other !== each);
      this.table.set(this.workers);
    }
  }

  place(shared: number, cached: readonly number[], queued: number): Place {
    const { workers, table, now_ms } = this;
    const request = placeRequest([...range(shared), ...range(3, 9_000)]);
    const cached_blocks = new Int32Array(workers.length * TIER_COUNT);
    const warm = new Uint8Array(workers.length);
    for (const [i, blocks] of cached.slice(0, workers.length).entries()) {
      cached_blocks[TIER_COUNT * i + (blocks % TIER_COUNT)] = blocks;
      warm[i] = blocks > 0 ? 1 : 0;
    }
    return { request, workers, pool: table.facts(), cached_blocks, warm, queued, now_ms };
  }
}

const inputsOf = (pool: Pool) => ({
  rates: (each: RoutedWorker) => each.rates ?? pool.pool_rates,
  promptLoad: () => 0.3,
  outputTokens: () => 100,
});

test("whatever happens to workers, the scan's costs and choice are those of one look at each", () => {
  const cached = fc.array(fc.nat(6), { minLength: 12, maxLength: 12 });
  const steps = fc.array(step, { maxLength: 60 });
  fc.assert(
    fc.property(steps, cached, fc.nat(4), fc.nat(30), (all, blocks, shared, queued) => {
      const pool = new Pool();
      const inputs = inputsOf(pool);
      const scorer = adaptiveScorer(inputs);
      const scan = adaptiveScan(inputs, pool.table, pool.book.active);
      const whole: Selection = {
        filters: [...kvFilters, ...busyFilters(() => busy)],
        scorers: [scorer],
        factors: [],
        picker: pickLeast,
      };
      for (const [number, each] of all.entries()) {
        pool.take(each as Step, number);
        if (number % 7 !== 0) continue;
        const place = pool.place(shared, blocks, queued);
        const costs = new Float64Array(place.workers.length);
        expect(scan(place, costs)).toBe(true);
        expect([...costs]).toEqual(place.workers.map((_, i) => scorer({ ...place }, i)));
        const fast = select({ ...whole, scan }, place, new SeededRandom(number));
        const { pool: _, ...unknown } = place;
        expect(fast).toEqual(select(whole, unknown, new SeededRandom(number)));
      }
      for (const request of pool.live) pool.book.end(request, pool.now_ms);
      expect(pool.book.active.size).toBe(0);
    }),
    { numRuns: 200 },
  );
});

test("blocks of several sizes are left to the look at each", () => {
  const pool = new Pool();
  const inputs = inputsOf(pool);
  const costs = new Float64Array(12);
  const other = { ...worker("x", 20), block_size: 2 * BLOCK };
  pool.workers = [...pool.workers, other];
  pool.table.set(pool.workers);
  const scan = adaptiveScan(inputs, pool.table, pool.book.active);
  expect(scan(pool.place(1, [], 0), costs)).toBe(false);
});

test("of a thousand workers a request gets one that is idle, and its next turn the one that has it", () => {
  const { dispatcher } = dispatcherOf({ name: "adaptive" }, 1_000);
  const places = range(1_000).map((i) => {
    dispatcher.offer(placeRequest(range(4, 10 * i)), i);
    const placed = dispatcher.next(i);
    if (placed?.kind === "placed") dispatcher.firstToken(placed.request.request, i);
    return placed?.kind === "placed" ? placed.worker.worker : "";
  });
  expect(new Set(places).size).toBe(1_000);
  for (const [i, place] of places.slice(0, 50).entries()) {
    const request = placeRequest(range(4, 10 * i), { request: `again ${i}` });
    dispatcher.offer(request, 1_001);
    const placed = dispatcher.next(1_001);
    expect(placed?.kind === "placed" ? placed.worker.worker : "").toBe(place);
  }
});

test("the first look at a pool that has grown finds what each of its workers has", () => {
  const { dispatcher, index, workers } = dispatcherOf({ name: "adaptive" }, 100);
  const request = placeRequest(range(4));
  for (const { slot } of workers) index.stored(slot, 0, 0, request.hashes);
  dispatcher.offer(request, 0);
  const [entry] = dispatcher.queue.entries();
  expect(entry?.uncached_tokens).toBe(1);
});
