/** The simulated scheduler in virtual time. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { polynomialTiming } from "../../../actors/engine/mocker/timing.ts";
import { CacheReplica, type Job, MockerWorld } from "../../support/engine/mocker-world.ts";

const ids = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
const decodeMs = (used_blocks: number, total_blocks: number) =>
  polynomialTiming.decodeMs({
    sequences: 1,
    used_kv_tokens: used_blocks,
    total_kv_tokens: total_blocks,
    context_tokens: 0,
  });

describe("a pass", () => {
  test("of one prompt takes prefill and decode time and ends with the first token", () => {
    const world = new MockerWorld({ block_size: 64, num_gpu_blocks: 100 });
    const job = world.job(ids(0, 2), 128, 3);
    world.submit(job);
    world.run();
    const first_ms = polynomialTiming.prefillMs(128) + decodeMs(2, 100);
    expect(job.first_token_ms).toBeCloseTo(first_ms, 9);
    // The first drawn token gets a block when it is computed, the last one never does.
    expect(job.finished_ms).toBeCloseTo(first_ms + 2 * decodeMs(3, 100), 9);
    expect(world.scheduler.totals).toEqual({
      prompt: 128,
      cached: 0,
      generated: 3,
      passes: 3,
      preemptions: 0,
    });
  });

  test("computes no more than its budget: prompts go in chunks, decoding first", () => {
    const world = new MockerWorld({ block_size: 10, max_num_batched_tokens: 100 });
    const short = world.job(ids(0, 1), 10, 50);
    const long = world.job(ids(100, 25), 250, 2);
    world.submit(short, long);
    const computed: number[] = [];
    world.run(() => computed.push(long.computed));
    // 90 beside the short prompt, then 99 beside its decoding, then the rest.
    expect(computed.slice(0, 4)).toEqual([90, 189, 250, 251]);
    expect(long.first_token_ms).toBeGreaterThan(short.first_token_ms);
  });

  test("without chunked prefill a prompt waits until it fits as a whole", () => {
    const world = new MockerWorld({
      block_size: 10,
      max_num_batched_tokens: 100,
      enable_chunked_prefill: false,
    });
    const [first, second] = [world.job(ids(0, 6), 60, 5), world.job(ids(50, 6), 60, 5)];
    world.submit(first, second);
    world.run();
    expect(second.admitted_ms).toBe(first.first_token_ms);
  });

  test("lets in no more sequences than max_num_seqs, in order", () => {
    const world = new MockerWorld({ max_num_seqs: 2 });
    const jobs = [4, 2, 2].map((output, i) => world.job(ids(10 * i, 1), 64, output, i));
    world.submit(...jobs);
    let most = 0;
    world.run(() => {
      most = Math.max(most, world.scheduler.running_count);
    });
    expect(most).toBe(2);
    expect(jobs[2]!.admitted_ms).toBe(jobs[1]!.finished_ms);
  });
});

describe("prefix cache", () => {
  test("a second prompt computes only what the first has not", () => {
    const world = new MockerWorld({ block_size: 64 });
    const first = world.job([1, 2, 3], 192, 1);
    world.submit(first);
    world.run();
    const second = world.job([1, 2, 9], 192, 1);
    world.submit(second);
    world.run();
    expect([first.cached_tokens, second.cached_tokens]).toEqual([0, 128]);
    const prefill_ms = polynomialTiming.prefillMs(64) + decodeMs(3, 16_384);
    expect(second.first_token_ms - second.arrival_ms).toBeCloseTo(prefill_ms, 9);
  });

  test("of a prompt that is cached as a whole the last block is computed again", () => {
    const world = new MockerWorld({ block_size: 64 });
    for (const expected of [0, 128, 128]) {
      const job = world.job([1, 2, 3], 192, 1);
      world.submit(job);
      world.run();
      expect(job.cached_tokens).toBe(expected);
    }
    expect(world.scheduler.pool.cached).toBe(3);
  });

  test("a tail of less than a block is never shared, what lies before it is", () => {
    const world = new MockerWorld({ block_size: 64 });
    for (const expected of [0, 128]) {
      const job = world.job([1, 2, 3], 180, 1);
      world.submit(job);
      world.run();
      expect(job.cached_tokens).toBe(expected);
    }
    expect(world.scheduler.pool.cached).toBe(2);
  });

  test("prompts of one pass share their prefix", () => {
    const world = new MockerWorld({ block_size: 64 });
    const jobs = [0, 1, 2].map((own) => world.job([1, 2, 10 + own], 180, 1, own));
    world.submit(...jobs);
    world.run();
    expect(jobs.map((job) => job.cached_tokens)).toEqual([0, 128, 128]);
    expect(world.scheduler.totals.passes).toBe(1);
  });

  test("blocks that others use already cost nothing, so a full device lets a sibling in", () => {
    const world = new MockerWorld({ block_size: 10, num_gpu_blocks: 7 });
    const jobs = [0, 1].map((own) => world.job([1, 2, 3, 10 + own], 40, 2, own));
    const stranger = world.job(ids(50, 4), 40, 2, 5);
    world.submit(...jobs, stranger);
    world.run();
    expect(jobs.map((job) => job.admitted_ms)).toEqual([0, 0]);
    expect(stranger.admitted_ms).toBeGreaterThan(0);
    expect(world.scheduler.totals.preemptions).toBe(0);
  });

  test("switched off, nothing is shared and nothing is said", () => {
    const world = new MockerWorld({ block_size: 64, enable_prefix_caching: false });
    const jobs = [0, 1].map((own) => world.job([1, 2], 128, 70, own));
    world.submit(...jobs);
    world.run();
    expect(jobs.map((job) => job.cached_tokens)).toEqual([0, 0]);
    expect(world.events()).toEqual([]);
    expect(world.scheduler.pool.free).toBe(16_384);
  });

  test("full blocks of the answer are cached, and said with their parent", () => {
    const world = new MockerWorld({ block_size: 8 });
    const job = world.job([1], 8, 10, 77);
    world.submit(job);
    world.run();
    const stored = world.events().filter((event) => event.kind === "stored");
    const names = job.names as unknown as { hashes(): { sequence_hashes: BigUint64Array } };
    const hashes = names.hashes().sequence_hashes;
    expect(stored.map(({ start_block }) => start_block)).toEqual([0, 1]);
    expect(stored.map(({ parent_hash }) => parent_hash)).toEqual([undefined, hashes[0]]);
    expect(stored.flatMap((event) => [...event.sequence_hashes])).toEqual([...hashes]);
  });

  test("clearing it lets running sequences go on, and say their blocks once more", () => {
    const world = new MockerWorld({ block_size: 8, num_gpu_blocks: 20 });
    const replica = new CacheReplica();
    world.log.onEvent((event) => replica.apply(event));
    const jobs = [0, 1].map((own) => world.job([1, 2], 16, 40, own));
    world.submit(...jobs);
    let steps = 0;
    world.run(() => {
      steps++;
      if (steps === 5 || steps === 12) world.scheduler.clearCache();
    });
    expect(jobs.map((job) => job.generated)).toEqual([40, 40]);
    expect(replica.parents.size).toBe(world.scheduler.pool.cached);
    expect(world.scheduler.pool.used).toBe(0);
  });
});

describe("preemption", () => {
  const tight = { block_size: 10, num_gpu_blocks: 12, max_num_batched_tokens: 1000 } as const;

  test.each(["lifo", "fifo"] as const)(
    "%s picks its victim and everybody gets all tokens",
    (mode) => {
      const world = new MockerWorld({ ...tight, preemption_mode: mode });
      const jobs = [0, 1, 2].map((own) => world.job(ids(10 * own, 3), 30, 40, own));
      world.submit(...jobs);
      world.run();
      const victims = jobs.map((job) => job.preemptions > 0);
      expect(victims[mode === "lifo" ? 2 : 0]).toBe(true);
      expect(victims[mode === "lifo" ? 0 : 2]).toBe(false);
      expect(jobs.map((job) => job.generated)).toEqual([40, 40, 40]);
      expect(world.scheduler.pool.used).toBe(0);
    },
  );

  test("a sequence that comes back finds its own blocks and keeps its count of cached tokens", () => {
    const world = new MockerWorld(tight);
    const jobs = [0, 1].map((own) => world.job(ids(10 * own, 4), 40, 40, own));
    world.submit(...jobs);
    world.run();
    expect(jobs[1]!.preemptions).toBeGreaterThan(0);
    expect(jobs[1]!.cached_tokens).toBe(0);
    expect(world.scheduler.totals.prompt).toBe(80);
  });
});

describe("roles", () => {
  const transfer = { kv_bytes_per_token: 64e6, kv_transfer_bandwidth: 64 } as const; // 1 ms a token

  test("a prefill worker makes one token and holds its blocks until they are handed over", () => {
    const world = new MockerWorld({ ...transfer, worker_type: "prefill", block_size: 10 });
    const job = world.job(ids(0, 10), 100, 500);
    world.submit(job);
    const used: number[] = [];
    world.run(() => used.push(world.scheduler.pool.used));
    expect(job.generated).toBe(1);
    // Its token comes out of the prefill itself.
    expect(job.first_token_ms).toBeCloseTo(polynomialTiming.prefillMs(100), 9);
    expect(job.finished_ms).toBeCloseTo(job.first_token_ms + 100, 9);
    expect(used).toEqual([10, 10, 0]);
  });

  test("a held prompt does not keep others from being computed", () => {
    const world = new MockerWorld({ ...transfer, worker_type: "prefill", max_num_seqs: 1 });
    const jobs = [0, 1].map((own) => world.job(ids(10 * own, 2), 128, 1, own));
    world.submit(...jobs);
    world.run();
    expect(jobs[1]!.first_token_ms).toBeLessThan(jobs[0]!.finished_ms);
  });

  test("a decode worker does not compute what was handed over", () => {
    const world = new MockerWorld({ ...transfer, worker_type: "decode", block_size: 10 });
    const job = world.job(ids(0, 10), 101, 5, 0, 100);
    world.submit(job);
    world.run();
    expect(job.first_token_ms).toBeCloseTo(polynomialTiming.prefillMs(1) + decodeMs(11, 16_384), 9);
    expect(world.events()[0]).toMatchObject({ kind: "stored", start_block: 0 });
  });

  test("or waits for what it lacks of it, when that is how the transfer is timed", () => {
    const world = new MockerWorld({
      ...transfer,
      worker_type: "decode",
      block_size: 10,
      kv_transfer_timing_mode: "destination_missing",
    });
    const first = world.job(ids(0, 10), 101, 1, 0, 100);
    world.submit(first);
    world.run();
    const second = world.job([...ids(0, 4), ...ids(50, 6)], 101, 1, 1, 100);
    world.submit(second);
    world.run();
    const own_ms = polynomialTiming.prefillMs(1) + decodeMs(11, 16_384);
    expect(first.first_token_ms).toBeCloseTo(100 + own_ms, 9);
    expect(second.first_token_ms - second.arrival_ms).toBeCloseTo(60 + own_ms, 9);
  });
});

test("without delays time stands still", () => {
  const world = new MockerWorld({ speedup_ratio: 0, kv_bytes_per_token: 1e9 });
  const job = world.job(ids(0, 20), 1280, 100);
  world.submit(job);
  world.run();
  expect([world.now_ms, job.finished_ms, job.generated]).toEqual([0, 0, 100]);
});

test("a worker that is stepped late goes on where it was, unless it slept", () => {
  const world = new MockerWorld({});
  const job = world.job(ids(0, 1), 64, 3);
  world.submit(job);
  const first_ms = world.scheduler.step(0);
  const second_ms = world.scheduler.step(first_ms + 1.5);
  expect(second_ms - first_ms).toBeCloseTo(decodeMs(2, 16_384), 9);
  const third_ms = world.scheduler.step(second_ms + 500);
  expect(third_ms - second_ms).toBeCloseTo(500 + decodeMs(2, 16_384), 9);
});

type Plan = {
  readonly num_gpu_blocks: number;
  readonly budget: number;
  readonly seqs: number;
  readonly mode: "lifo" | "fifo";
  readonly caching: boolean;
  readonly role: "aggregated" | "prefill" | "decode";
  readonly jobs: readonly {
    readonly ids: readonly number[];
    readonly tail: number;
    readonly output: number;
    readonly at: number;
    readonly cancel_at: number | undefined;
    readonly prefilled: number;
  }[];
  readonly clear_at: number;
  readonly guesses: number;
};

const plans: fc.Arbitrary<Plan> = fc.record({
  num_gpu_blocks: fc.integer({ min: 17, max: 40 }),
  budget: fc.integer({ min: 4, max: 64 }),
  seqs: fc.integer({ min: 1, max: 6 }),
  mode: fc.constantFrom("lifo", "fifo"),
  caching: fc.boolean(),
  role: fc.constantFrom("aggregated", "aggregated", "prefill", "decode"),
  jobs: fc.array(
    fc.record({
      ids: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 8 }),
      tail: fc.nat(3),
      output: fc.integer({ min: 0, max: 30 }),
      at: fc.nat(30),
      cancel_at: fc.option(fc.nat(60), { nil: undefined, freq: 4 }),
      prefilled: fc.nat(40),
    }),
    { minLength: 1, maxLength: 14 },
  ),
  clear_at: fc.nat(200),
  guesses: fc.constantFrom(0, 0, 1, 3, 5),
});

test("any load: blocks add up, budgets hold, all end once, events build the same cache", () => {
  fc.assert(fc.property(plans, runPlan), { numRuns: 300 });
});

function runPlan(plan: Plan): void {
  const world = new MockerWorld({
    block_size: 4,
    num_gpu_blocks: plan.num_gpu_blocks,
    max_num_batched_tokens: plan.budget,
    max_num_seqs: plan.seqs,
    preemption_mode: plan.mode,
    enable_prefix_caching: plan.caching,
    worker_type: plan.role,
    aic_nextn: plan.guesses,
    aic_nextn_accept_rates: plan.guesses > 0 ? "1,0.8,0.5,1,1" : "",
    kv_bytes_per_token: 64e6,
    kv_transfer_timing_mode: plan.role === "decode" ? "destination_missing" : "full_prompt",
  });
  const { scheduler } = world;
  const replica = new CacheReplica();
  world.log.onEvent((event) => replica.apply(event));
  const submitted: Job[] = [];
  const cancelled = new Set<Job>();
  const drawn = () => submitted.reduce((sum, job) => sum + job.generated, 0);
  let step = 0;
  let due_ms = 0;
  for (; due_ms !== Number.POSITIVE_INFINITY || step <= 60; step++) {
    if (step > 20_000) throw new Error("the scheduler is never idle");
    for (const [own, { ids: prefix, tail, output, at, prefilled }] of plan.jobs.entries()) {
      if (at !== step) continue;
      const prompt = 4 * prefix.length + tail;
      const handed = plan.role === "decode" ? Math.min(prefilled, prompt) : 0;
      const job = world.job(prefix, prompt, output, own, handed);
      expect(scheduler.fits(job)).toBe(true);
      world.submit(job);
      submitted[own] = job;
    }
    for (const [own, { cancel_at }] of plan.jobs.entries()) {
      const job = submitted[own];
      if (cancel_at !== step || job === undefined || job.state === "ended") continue;
      scheduler.cancel(job);
      cancelled.add(job);
    }
    if (step === plan.clear_at) scheduler.clearCache();
    const before = drawn();
    if (due_ms !== Number.POSITIVE_INFINITY) world.now_ms = due_ms;
    due_ms = scheduler.step(world.now_ms);
    const { pool } = scheduler;
    expect(pool.used + pool.cached + pool.free).toBe(plan.num_gpu_blocks);
    expect(pool.free).toBeGreaterThanOrEqual(0);
    const live = submitted.filter((job) => job !== undefined && job.state !== "ended");
    expect(pool.used).toBe(new Set(live.flatMap((job) => job.blocks)).size);
    const most = Math.min(plan.seqs * (1 + plan.guesses), plan.budget);
    expect(drawn() - before).toBeLessThanOrEqual(most);
    // What was guessed wrongly is not computed, and in no block.
    for (const { registered, computed, length } of live) {
      expect(4 * registered).toBeLessThanOrEqual(computed);
      expect(computed).toBeLessThanOrEqual(length);
    }
    const in_pass = live.filter((job) => job.pass === scheduler.totals.passes - 1);
    const tokens = in_pass.reduce((sum, job) => sum + job.pass_tokens, 0);
    expect(tokens).toBeLessThanOrEqual(plan.budget);
    expect(scheduler.running_count).toBe(live.filter(({ state }) => state !== "waiting").length);
    const dump = new CacheReplica();
    for (const run of pool.dump(world.log.last_event_id, 0)) dump.apply(run);
    expect([...replica.parents].sort()).toEqual([...dump.parents].sort());
    if (!plan.caching) expect(pool.cached).toBe(0);
  }
  expect(scheduler.pool.used).toBe(0);
  for (const [own, job] of submitted.entries()) {
    if (job === undefined) continue;
    const { output } = plan.jobs[own]!;
    expect(job.ends).toBe(cancelled.has(job) ? 0 : 1);
    if (cancelled.has(job)) continue;
    expect(job.generated).toBe(plan.role === "prefill" ? Math.min(1, output) : output);
    expect(job.finished_ms).toBeGreaterThanOrEqual(job.arrival_ms);
  }
}
