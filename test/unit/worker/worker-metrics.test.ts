import { expect, test } from "bun:test";
import type { DraftCounts } from "../../../actors/engine/engine.ts";
import { TierMetrics } from "../../../actors/worker/kv/tier-metrics.ts";
import { WorkerMetrics } from "../../../actors/worker/worker-metrics.ts";
import type { WorkerLoad } from "../../../proto/index.ts";
import { Metrics } from "../../../runtime/observe/metrics.ts";

const load = (): WorkerLoad => ({
  ...{ kind: "worker_load", subscription: 0, worker: "w", running: 2, waiting: 1 },
  ...{ used_blocks: 25, cached_blocks: 5, total_blocks: 100, event_loop_block_ms_max: 7 },
  ...{ generated_tokens_total: 40, prompt_tokens_total: 30, cached_tokens_total: 20 },
  waiting_prefill_tokens: 0,
});

function shown(role: "aggregated" | "prefill" | "decode", counts: readonly DraftCounts[] = []) {
  const metrics = new Metrics();
  const drafts = () => counts;
  const gauges = { inflight: () => 3, load, elsewhere: () => 1, drafts };
  return { metrics, of: new WorkerMetrics(metrics, "w", "m", role, gauges) };
}

test("what the engine counts is read when somebody looks", () => {
  const { metrics } = shown("aggregated");
  const text = metrics.render();
  const labels = 'dynamo_component="backend",dynamo_endpoint="generate",model="m",worker="w"';
  for (const [name, value] of [
    ["dynamo_component_gpu_cache_usage_percent", 0.25],
    ["dynamo_component_total_blocks", 100],
    ["dynamo_component_inflight_requests", 3],
    ["troupe_worker_generated_tokens_total", 40],
    ["troupe_worker_prompts_elsewhere", 1],
    ["troupe_worker_kv_blocks_cached", 5],
    ["troupe_worker_event_loop_block_seconds_max", 0.007],
  ]) {
    expect(text).toContain(`\n${name}{${labels}} ${value}\n`);
  }
  expect(text).toContain('troupe_worker_info{model="m",role="aggregated",worker="w"} 1\n');
});

test("a worker of another role is another component, and nothing of the old one stays", () => {
  const { metrics, of } = shown("decode");
  of.taken();
  of.refused("overloaded");
  of.roleIs("prefill");
  of.taken();
  const text = metrics.render();
  expect(text).not.toContain('dynamo_component="backend"');
  expect(text).toMatch(/dynamo_component_requests_total\{dynamo_component="prefill",.*\} 1\n/);
  expect(text).toContain('role="prefill"');
  expect(text).not.toContain('role="decode"');
  of.remove();
  expect(metrics.render()).toBe("");
});

test("blocks beyond the engine have both of Dynamo's names", () => {
  const metrics = new Metrics();
  const of = new TierMetrics(metrics, { worker: "w" });
  of.offloaded(4);
  of.onboarded(2, 16);
  for (const prefix of ["kvbm", "dynamo_kvbm"]) {
    expect(metrics.total(`${prefix}_offload_blocks_d2h`)).toBe(4);
    expect(metrics.total(`${prefix}_onboard_blocks_h2d`)).toBe(2);
    expect(metrics.total(`${prefix}_matched_tokens`)).toBe(32);
  }
  of.remove();
  expect(metrics.render()).toBe("");
});

test("guessed tokens are told by source, and over all sources as vLLM tells them", () => {
  const counts = [
    { source: "own", drafts: 5, tokens: 20, accepted: 12 },
    { source: "recent", drafts: 2, tokens: 8, accepted: 1 },
  ];
  const { metrics, of } = shown("aggregated", counts);
  const text = metrics.render();
  const labels = 'dynamo_component="backend",dynamo_endpoint="generate",model="m"';
  for (const [name, own, recent] of [
    ["troupe_worker_draft_steps_total", 5, 2],
    ["troupe_worker_drafted_tokens_total", 20, 8],
    ["troupe_worker_accepted_tokens_total", 12, 1],
    ["troupe_worker_rejected_tokens_total", 8, 7],
  ]) {
    expect(text).toContain(`\n${name}{${labels},source="own",worker="w"} ${own}\n`);
    expect(text).toContain(`\n${name}{${labels},source="recent",worker="w"} ${recent}\n`);
  }
  const of_vllm = `{${labels},model_name="m",worker="w"}`;
  expect(text).toContain(`\nvllm:spec_decode_num_drafts_total${of_vllm} 7\n`);
  expect(text).toContain(`\nvllm:spec_decode_num_draft_tokens_total${of_vllm} 28\n`);
  expect(text).toContain(`\nvllm:spec_decode_num_accepted_tokens_total${of_vllm} 13\n`);
  of.roleIs("prefill");
  expect(metrics.render()).not.toContain('dynamo_component="backend"');
  of.remove();
  expect(metrics.render()).toBe("");
  expect(shown("aggregated").metrics.render()).not.toContain("draft");
});
