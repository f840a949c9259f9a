import { expect, test } from "bun:test";
import { goodputAsked, goodputOf } from "../../bench/goodput.ts";
import { LogHistogram } from "../../bench/load/log-histogram.ts";
import type { LoadPlan } from "../../bench/load/plan.ts";
import { summarize } from "../../bench/load/summary.ts";

const answers = [
  { ttft_ms: 100, e2e_ms: 200, tokens: 11 }, // 10 ms between two
  { ttft_ms: 100, e2e_ms: 1_100, tokens: 11 }, // 100
  { ttft_ms: 900, e2e_ms: 900, tokens: 1 }, // nothing between
  { ttft_ms: -1, e2e_ms: 50, tokens: 0 }, // no text at all
];

test.each([
  [100, 10, 1],
  [99.9, 10, 0],
  [100, 9.9, 0],
  [1_000, 10, 2],
  [1_000, 100, 3],
  [1_000, undefined, 3],
  [undefined, 10, 2],
  [undefined, 5, 1],
])("within %p ms and %p ms: %p of the answers", (ttft_ms, itl_ms, good) => {
  const { share, req_per_s } = goodputOf(answers, { ttft_ms, itl_ms }, 8, 2_000);
  expect([share, req_per_s]).toEqual([good / 8, good / 2]);
});

test("nobody came, or no limit is given", () => {
  const limits = { ttft_ms: 1, itl_ms: 1 };
  expect(goodputOf([], limits, 0, 0)).toEqual({ share: 0, req_per_s: 0 });
  expect(goodputAsked(limits)).toBe(true);
  expect(goodputAsked({ ttft_ms: undefined, itl_ms: undefined })).toBe(false);
});

const record = (over: object) => ({
  ...{ due_ms: 0, sent_ms: 0, events: 2, prompt_tokens: 1, cached_tokens: 0, error: "" },
  ...{ ttft_ms: 100, e2e_ms: 200, tokens: 11 },
  ...over,
});

test("a load run: failed requests are requests, and are not good", () => {
  const plan: LoadPlan = {
    url: "http://127.0.0.1:1",
    model: "m",
    endpoint: "chat",
    source: { kind: "synthetic", isl: 1, osl: 1, shared: 0 },
    full_length: true,
    arrival: { kind: "closed", concurrency: 1 },
    requests: 4,
    duration_ms: 1,
    timeout_ms: 1,
    warm_up: 0,
    max_connections: 1,
    seed: 1,
  };
  const records = [
    record({}),
    record({ ttft_ms: 300 }),
    record({ e2e_ms: 1_100 }),
    record({ error: "HTTP 529" }),
  ];
  const result = { records, itl_ms: new LogHistogram(), wall_ms: 500, client_cpu: 0 };
  expect(summarize(plan, result)).not.toHaveProperty("goodput");
  const limited = { ...plan, limits: { ttft_ms: 250, itl_ms: 20 } };
  expect(summarize(limited, result).goodput).toEqual({ share: 0.25, req_per_s: 2 });
});
