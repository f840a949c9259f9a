/** Guessed tokens of the simulated engine: more of them a pass, and nothing else is different. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { EngineRequest } from "../../../actors/engine/engine.ts";
import { acceptRates, ratesProblem } from "../../../actors/engine/mocker/guesses.ts";
import { MockerEngine } from "../../../actors/engine/mocker/mocker.ts";
import { type MockerOptions, MockerOptionsError } from "../../../actors/engine/mocker/options.ts";
import { EngineDriver, GREEDY, request } from "../../support/engine/engine-driver.ts";
import { CacheReplica, MockerWorld } from "../../support/engine/mocker-world.ts";

const ids = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
const guessing = (aic_nextn: number, aic_nextn_accept_rates = "") => ({
  ...{ aic_nextn, aic_nextn_accept_rates },
});

test("rates are one a guess, Dynamo's where none are given", () => {
  expect(acceptRates(guessing(0))).toEqual([]);
  expect(acceptRates(guessing(1))).toEqual([0.85]);
  expect(acceptRates(guessing(4))).toEqual([0.85, 0.3, 0, 0]);
  expect(acceptRates(guessing(3, "1, 0.5"))).toEqual([1, 0.5, 0]);
  expect(acceptRates(guessing(1, "0.2,0.9"))).toEqual([0.2]);
});

test.each([
  [6, "", "--aic-nextn 6: give a whole number from 0 to 5"],
  [1.5, "", "--aic-nextn 1.5: give a whole number from 0 to 5"],
  [0, "0.5", "--aic-nextn-accept-rates 0.5: give --aic-nextn too, how many tokens are guessed"],
  [2, "0.5,2", '--aic-nextn-accept-rates 0.5,2: give numbers from 0 to 1, as 0.85,0.3; not "2"'],
  [2, "0.5,", '--aic-nextn-accept-rates 0.5,: give numbers from 0 to 1, as 0.85,0.3; not ""'],
  [2, "x", '--aic-nextn-accept-rates x: give numbers from 0 to 1, as 0.85,0.3; not "x"'],
])("%d guesses at %p are refused in one line", (guesses, rates, line) => {
  expect(ratesProblem(guessing(guesses, rates))).toBe(line);
  const open = () => new MockerEngine(guessing(guesses, rates));
  expect(open).toThrow(MockerOptionsError);
  expect(open).toThrow(line);
});

/** Passes of an answer of `output` tokens, and its time. */
function ran(output: number, options: Partial<MockerOptions>) {
  const world = new MockerWorld({ block_size: 64, num_gpu_blocks: 100, ...options });
  const job = world.job(ids(0, 2), 128, output);
  world.submit(job);
  world.run();
  const { passes, generated } = world.scheduler.totals;
  expect([generated, job.generated, job.ends]).toEqual([output, output, 1]);
  return { passes, job, guesses: world.scheduler.guesses, ms: job.finished_ms };
}

test("a pass makes its own token and those that are guessed rightly, up to the answer's end", () => {
  for (const output of [1, 2, 3, 4, 5, 30, 31]) {
    const { passes, job } = ran(output, guessing(2, "1,1"));
    // The first token comes with the prompt.
    expect(passes).toBe(1 + Math.ceil((output - 1) / 3));
    expect(job.accepted).toBe(output - passes);
    expect(job.guessed - job.accepted).toBe(0);
  }
  const none = ran(30, guessing(3, "0,1,1"));
  expect(none.passes).toBe(30);
  expect(none.job.accepted).toBe(0);
  expect(none.ms).toBeGreaterThan(2.5 * ran(30, guessing(2, "1,1")).ms - 60);
});

test("as many are right as the rates say, of each place those behind right ones", () => {
  const { guesses, job } = ran(6_000, guessing(2, "0.7,0.5"));
  // One, and .7, and .7 × .5 more a pass.
  expect(6_000 / guesses.drafts).toBeCloseTo(1 + 0.7 + 0.35, 1);
  expect(job.accepted).toBe(guesses.accepted);
  expect(guesses.tokens).toBeCloseTo(2 * guesses.drafts, -1);
});

test("a prefill worker and a budget of one token guess nothing", () => {
  const world = new MockerWorld({ worker_type: "prefill", ...guessing(2, "1,1") });
  world.submit(world.job(ids(0, 2), 128, 30));
  world.run();
  expect(world.scheduler.guesses.drafts).toBe(0);
  const tight = ran(10, { max_num_batched_tokens: 1, ...guessing(2, "1,1") });
  expect(tight.guesses.drafts).toBe(0);
});

async function answersOf(options: Partial<MockerOptions>, asked: readonly EngineRequest[]) {
  const engine = new MockerEngine({ speedup_ratio: 0, block_size: 8, ...options });
  const replica = new CacheReplica();
  engine.kv_events.onEvent((event) => replica.apply(event));
  const answers = await new EngineDriver(engine).run(asked);
  const counts = engine.draftCounts();
  const { used_blocks } = engine.stats();
  await engine.close();
  return { answers, counts, used_blocks, blocks: [...replica.parents.keys()].sort() };
}

const requests = fc.array(
  fc.record({
    prompt: fc.integer({ min: 1, max: 40 }),
    make: fc.integer({ min: 0, max: 50 }),
    seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    min_tokens: fc.constantFrom(0, 9),
    logprobs: fc.constantFrom(-1, 2),
    stop: fc.constantFrom(0, 300),
  }),
  { minLength: 1, maxLength: 6 },
);

test("tokens, ends, log probabilities and cached blocks are those without guesses", async () => {
  let accepted = 0;
  const property = fc.asyncProperty(requests, fc.integer({ min: 1, max: 5 }), async (all, n) => {
    const asked = all.map(({ prompt, make, seed, stop, ...more }, i) =>
      request(i + 1, ids(100 * i, prompt), make, {
        sampling: { ...GREEDY, seed },
        // Of a small vocabulary each answer meets one soon.
        stop_tokens: ids(0, stop),
        ...more,
      }),
    );
    const plain = await answersOf({}, asked);
    const fast = await answersOf(guessing(n, "0.9,0.8,0.7,0.6,0.5"), asked);
    expect(plain.counts).toEqual([]);
    let [right, wrong] = [0, 0];
    for (const [i, { finished, ...answer }] of fast.answers.entries()) {
      const { finished: before, ...same } = plain.answers[i]!;
      const { drafts = { right: 0, wrong: 0 }, ...end } = finished!;
      expect(answer).toEqual(same);
      expect(end).toEqual(before!);
      right += drafts.right;
      wrong += drafts.wrong;
    }
    const [counts] = fast.counts;
    expect(counts).toMatchObject({ source: "mtp", tokens: right + wrong, accepted: right });
    expect([fast.used_blocks, fast.blocks]).toEqual([0, plain.blocks]);
    accepted += right;
  });
  await fc.assert(property, { numRuns: 100 });
  expect(accepted).toBeGreaterThan(0);
});
