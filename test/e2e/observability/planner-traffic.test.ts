/** What a planner reads of a cluster from a real Prometheus that scrapes it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  PrometheusTraffic,
  prometheusDefaults,
} from "../../../actors/planner/observe/prometheus.ts";
import type { Traffic } from "../../../actors/planner/pipeline/snapshot.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { realFiles } from "../../../runtime/real/files.ts";
import { realNet } from "../../../runtime/real/net.ts";
import { type Cluster, startCluster, until } from "../../support/cluster.ts";
import { describeWith, lacksProgram } from "../../support/needs.ts";
import { type Prometheus, startPrometheus } from "../../support/prometheus.ts";

const log = { log: () => {} };

function trafficFrom(url: string, keys: Partial<typeof prometheusDefaults> = {}, namespace = "") {
  return new PrometheusTraffic({
    ...{ namespace, clock: realClock(), net: realNet(), files: realFiles(), log },
    keys: { ...prometheusDefaults, metric_pulling_prometheus_endpoint: url, ...keys },
  });
}

describeWith(lacksProgram("prometheus"), "over a cluster of simulated workers", () => {
  let cluster: Cluster;
  let prometheus: Prometheus;
  const MODEL = "troupe-tiny";
  const REQUESTS = 20;

  beforeAll(async () => {
    cluster = await startCluster([
      ...["--engine", "mocker", "--speedup-ratio", "10", "--prefill", "1", "--decode", "1"],
    ]);
    prometheus = await startPrometheus(new URL(cluster.inspector).host);
  }, 90_000);
  afterAll(async () => {
    await prometheus[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  }, 30_000);

  test("no request is a figure, an unknown model is none, requests are counted with tails", async () => {
    const source = trafficFrom(prometheus.url);
    let idle: Traffic | undefined;
    await until("two scrapes", 30_000, async () => {
      idle = await source.traffic(MODEL, 10_000);
      return idle !== undefined;
    });
    expect(idle).toMatchObject({ started: 0, ended: 0, failed: 0, queued: 0 });
    expect([idle?.isl, idle?.osl, idle?.ttft_ms, idle?.itl_ms]).toEqual(Array(4).fill(undefined));
    expect(await source.traffic("another", 10_000)).toBeUndefined();

    const words = "one two three four five six seven eight nine ten ".repeat(20);
    const ask = async (i: number): Promise<void> => {
      const response = await fetch(`${cluster.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          ...{ messages: [{ role: "user", content: `${words}${i}` }], max_tokens: 8 },
          ...{ model: MODEL, stream: true },
        }),
      });
      expect(response.status).toBe(200);
      await response.text();
    };
    await Promise.all(Array.from({ length: REQUESTS }, (_, i) => ask(i)));
    let busy: Traffic | undefined;
    await until("the requests in two scrapes", 30_000, async () => {
      busy = await source.traffic(MODEL.toUpperCase(), 60_000);
      return (busy?.ended ?? 0) >= REQUESTS * 0.9;
    });
    const seen = busy as Traffic;
    // Prometheus stretches what it has seen to the whole interval.
    expect(seen.started).toBeGreaterThanOrEqual(REQUESTS * 0.9);
    expect(seen.failed).toBe(0);
    expect(seen.osl).toBe(8);
    expect(seen.isl).toBeGreaterThan(100);
    expect(seen.kv_hit_rate).toBeGreaterThanOrEqual(0);
    expect(seen.kv_hit_rate).toBeLessThanOrEqual(1);
    for (const tail of [seen.ttft_ms, seen.itl_ms, seen.duration_ms]) {
      expect(tail?.mean).toBeGreaterThan(0);
      expect(tail?.p50).toBeLessThanOrEqual(tail?.p95 ?? 0);
      expect(tail?.p95).toBeLessThanOrEqual(tail?.p99 ?? 0);
    }
  }, 120_000);
});

describeWith(lacksProgram("prometheus"), "over metrics as Dynamo writes them", () => {
  let page = "";
  let scraped: ReturnType<typeof Bun.serve>;
  let prometheus: Prometheus;

  beforeAll(async () => {
    scraped = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(page) });
    prometheus = await startPrometheus(`127.0.0.1:${scraped.port}`);
  }, 60_000);
  afterAll(async () => {
    await prometheus[Symbol.asyncDispose]();
    await scraped.stop(true);
  });

  /** `n` requests of each of two doors, and the router behind them. */
  const dynamoPage = (n: number): string => {
    const door = (labels: string, seconds: number) => {
      const histogram = (name: string, each: number) => [
        `${name}_bucket{${labels},le="${each}"} ${n}`,
        `${name}_bucket{${labels},le="+Inf"} ${n}`,
        `${name}_sum{${labels}} ${n * each}`,
        `${name}_count{${labels}} ${n}`,
      ];
      return [
        ...histogram("dynamo_frontend_time_to_first_token_seconds", seconds),
        ...histogram("dynamo_frontend_input_sequence_tokens", 1_000),
        `dynamo_frontend_requests_total{${labels},status="success"} ${n}`,
        `dynamo_frontend_requests_total{${labels},status="error"} ${n / 4}`,
      ];
    };
    const router = 'dynamo_namespace="my_graph"';
    return [
      ...door('model="qwen/qwen3-0.6b",dynamo_namespace="my-graph",pod="a"', 0.1),
      ...door('model="qwen/qwen3-0.6b",dynamo_namespace="my-graph",pod="b"', 0.3),
      ...door('model="qwen/qwen3-0.6b",dynamo_namespace="other",pod="c"', 50),
      `dynamo_component_router_requests_started_total{${router}} ${2 * n}`,
      `dynamo_component_router_requests_total{${router}} ${n}`,
      `dynamo_component_router_kv_hit_rate_sum{${router}} ${n / 2}`,
      `dynamo_component_router_kv_hit_rate_count{${router}} ${n}`,
      `vllm:spec_decode_num_accepted_tokens_total{dynamo_namespace="my-graph"} ${n * 3}`,
      `vllm:spec_decode_num_drafts_total{dynamo_namespace="my-graph"} ${n * 2}`,
      "",
    ].join("\n");
  };

  test("by lower-cased model and namespace; router source; accept length of an engine", async () => {
    page = dynamoPage(0);
    const source = trafficFrom(prometheus.url, {}, "my-graph");
    let idle: Traffic | undefined;
    await until("two scrapes", 30_000, async () => {
      idle = await source.traffic("Qwen/Qwen3-0.6B", 10_000);
      return idle !== undefined;
    });
    expect(idle).toMatchObject({ started: 0, ended: 0, failed: 0 });
    expect(idle?.ttft_ms).toBeUndefined();
    page = dynamoPage(40);
    let busy: Traffic | undefined;
    await until("the requests in two scrapes", 30_000, async () => {
      busy = await source.traffic("Qwen/Qwen3-0.6B", 60_000);
      return (busy?.ended ?? 0) > 0;
    });
    // No counter of started requests: those that ended, of both doors, errors too.
    expect(busy?.started).toBe(busy?.ended as number);
    expect((busy?.failed ?? 0) / (busy?.ended ?? 1)).toBeCloseTo(0.2, 6);
    expect(busy?.isl).toBeCloseTo(1_000, 6);
    expect(busy?.ttft_ms?.mean).toBeCloseTo(200, 6);
    expect(busy?.ttft_ms?.p99).toBeGreaterThan(200);
    expect(busy?.kv_hit_rate).toBeCloseTo(0.5, 6);
    expect(busy?.accept_length).toBeCloseTo(2.5, 6);

    const router = trafficFrom(prometheus.url, { throughput_metrics_source: "router" }, "my-graph");
    const routed = await router.traffic("any", 60_000);
    expect((routed?.started ?? 0) / (routed?.ended ?? 1)).toBeCloseTo(2, 6);
    expect(routed?.kv_hit_rate).toBeCloseTo(0.5, 6);
    const elsewhere = trafficFrom(prometheus.url, {}, "nowhere");
    expect(await elsewhere.traffic("Qwen/Qwen3-0.6B", 60_000)).toBeUndefined();
  }, 90_000);
});
