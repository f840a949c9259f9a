import { expect, test } from "bun:test";
import fc from "fast-check";
import { factsOf } from "../../../bench/profile/facts.ts";
import { limitsOf } from "../../../bench/profile/limits.ts";
import { profileOptions } from "../../../bench/profile/options.ts";
import {
  countsBetween,
  decodePoints,
  endsFirst,
  lengthsBetween,
  prefillLengths,
  type SweepLimits,
} from "../../../bench/profile/sweep-plan.ts";

const limits: SweepLimits = {
  context: 8192,
  max_kv_tokens: 65_536,
  block_size: 64,
  max_concurrency: 256,
  osl: 64,
};

test("ends of an axis first, then the middles of what is open", () => {
  expect(endsFirst([0, 1, 2, 3, 4, 5, 6, 7, 8])).toEqual([0, 8, 4, 2, 6, 1, 3, 5, 7]);
  expect(endsFirst([3])).toEqual([3]);
  expect(endsFirst([])).toEqual([]);
  expect(lengthsBetween(100, 8191, 4)).toEqual([100, 999, 3696, 8191]);
  expect(countsBetween(1, 6, 6)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(countsBetween(1, 3, 6)).toEqual([1, 2, 3]);
  expect(countsBetween(1, 1, 6)).toEqual([1]);
});

test("the plan of a usual engine", () => {
  const lengths = prefillLengths(limits, 16);
  expect(lengths.slice(0, 3)).toEqual([100, 7945, 1808]);
  expect(lengths).toHaveLength(16);
  const points = decodePoints(limits, 6);
  expect(points.slice(0, 3)).toEqual([
    { isl: 100, in_flight: 1 },
    { isl: 100, in_flight: 250 },
    { isl: 100, in_flight: 101 },
  ]);
  expect(new Set(points.map(({ isl }) => isl)).size).toBe(6);
});

test("no point is beyond the context, the cache or the concurrency", () => {
  const any_limits = fc.record({
    context: fc.integer({ min: 64, max: 200_000 }),
    max_kv_tokens: fc.integer({ min: 512, max: 2_000_000 }),
    block_size: fc.constantFrom(1, 16, 64, 128),
    max_concurrency: fc.integer({ min: 1, max: 512 }),
    osl: fc.integer({ min: 1, max: 32 }),
  });
  fc.assert(
    fc.property(any_limits, fc.integer({ min: 2, max: 24 }), (given, granularity) => {
      for (const isl of prefillLengths(given, granularity)) {
        expect(isl).toBeGreaterThan(0);
        expect(isl + 1).toBeLessThanOrEqual(given.context);
      }
      for (const { isl, in_flight } of decodePoints(given, granularity)) {
        expect(isl).toBeGreaterThan(0);
        expect(isl + given.osl).toBeLessThanOrEqual(given.context);
        expect(in_flight).toBeGreaterThan(0);
        expect(in_flight).toBeLessThanOrEqual(given.max_concurrency);
        // One answer is always measured.
        const tokens = in_flight * (isl + given.osl);
        if (in_flight > 1) expect(tokens).toBeLessThanOrEqual(given.max_kv_tokens);
      }
    }),
  );
});

test("facts come from the model list and from metrics of this cluster or of vLLM", () => {
  const ours = `dynamo_frontend_model_context_length{model="a"} 4096
dynamo_frontend_model_kv_cache_block_size{model="other"} 1
dynamo_frontend_model_kv_cache_block_size{model="a"} 64
dynamo_frontend_model_total_kv_blocks{model="a"} 100
dynamo_frontend_model_max_num_seqs{model="a"} 8
dynamo_frontend_model_max_num_batched_tokens{model="a"} 0`;
  expect(factsOf({ id: "a", context_window: 1 }, ours)).toEqual({
    model: "a",
    context_length: 4096,
    max_kv_tokens: 6400,
    block_size: 64,
    max_seqs: 8,
    max_batch_tokens: undefined,
  });
  const vllm = `vllm:cache_config_info{block_size="16",num_gpu_blocks="27447"} 1.0`;
  expect(factsOf({ id: "b", max_model_len: 32_768 }, vllm)).toMatchObject({
    context_length: 32_768,
    max_kv_tokens: 439_152,
    block_size: 16,
  });
});

test("what nobody says is guessed, and the guess is named", () => {
  const unknown = factsOf({ id: "c" }, "");
  const asked = { context: undefined, kv_tokens: undefined, max_concurrency: undefined };
  const guessed = limitsOf({ ...asked, decode_tokens: 64 }, unknown);
  expect(guessed.limits).toEqual({
    context: 4096,
    max_kv_tokens: 65_536,
    block_size: 16,
    max_concurrency: 16,
    osl: 64,
  });
  expect(guessed.notes.join()).toContain("--kv-tokens");
  const told = limitsOf(
    { context: 128, kv_tokens: 1000, max_concurrency: 300, decode_tokens: 500 },
    unknown,
  );
  expect(told.notes).toEqual([]);
  expect(told.limits).toMatchObject({ context: 128, max_kv_tokens: 1000, max_concurrency: 300 });
  expect(told.limits.osl).toBe(64);
});

test("flags that cannot be are refused in one line", () => {
  const refused = (...args: string[]) => {
    try {
      profileOptions(args, {});
    } catch (error) {
      return (error as Error).message;
    }
    return "taken";
  };
  expect(refused("--url", "here")).toContain("--url here is not an http(s) URL");
  expect(refused("--url", "http://a", "--engine", "mocker")).toContain("leave out --url");
  expect(refused("--url", "http://a", "--", "--workers", "2")).toContain("leave out --url");
  expect(refused("--engine", "vllm")).toContain("llama, mocker, echo");
  expect(refused("--repeats", "0")).toContain("--repeats 0");
  expect(refused("--time-limit", "")).toContain("--time-limit");
  expect(refused("--nonsense")).toContain("--nonsense");
  expect(profileOptions(["--", "--block-size", "16"], {}).cluster_args).toEqual([
    "--block-size",
    "16",
  ]);
});
