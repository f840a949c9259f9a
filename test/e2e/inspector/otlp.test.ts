/** Traces and metrics over OTLP to a stand-in of a collector, with real processes. */
import { expect, test } from "bun:test";
import { startCluster, until } from "../../support/cluster.ts";
import { OtlpCollector, type SeenSpan } from "../../support/observe/otlp-collector.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";

async function complete(url: string, headers: Record<string, string> = {}, body: object = {}) {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({
      ...{ model: "troupe-tiny", messages: [{ role: "user", content: "hello" }], max_tokens: 20 },
      ...body,
    }),
  });
  await response.text();
  return response;
}

const quick = { OTEL_BSP_SCHEDULE_DELAY: "200", OTEL_METRIC_EXPORT_INTERVAL: "500" };

test("spans of one request over processes, below its client's; metrics by both names", async () => {
  using collector = new OtlpCollector();
  const env = {
    ...quick,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_SERVICE_NAME: "my-models",
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
  };
  await using cluster = await startCluster(["--engine", "mocker", "--workers", "2"], { env });
  const traceparent = `00-${TRACE}-${PARENT}-01`;
  const response = await complete(cluster.url, { traceparent });
  expect(response.headers.get("traceparent")).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
  const named = (name: string): SeenSpan | undefined =>
    collector.spans.find((span) => span.name === name && span.trace_id === TRACE);
  await until("spans of both processes", 15_000, async () =>
    ["chat troupe-tiny", "generate", "decode"].every((name) => named(name) !== undefined),
  );
  const server = named("chat troupe-tiny")!;
  expect(server).toMatchObject({ service: "my-models", instance: "frontend-0", kind: 2 });
  expect(server.resource).toMatchObject({ "deployment.environment.name": "test" });
  expect([server.parent_id, server.error]).toEqual([PARENT, ""]);
  expect(response.headers.get("traceparent")).toContain(server.span_id);
  expect(server.attributes).toMatchObject({
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "troupe-tiny",
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.response.finish_reasons": ["length"],
    "http.response.status_code": 200,
  });
  expect(named("route")).toMatchObject({ parent_id: server.span_id, instance: "frontend-0" });
  const generate = named("generate")!;
  expect(generate.instance).toStartWith("worker-");
  expect(generate.parent_id).toBe(server.span_id);
  expect(generate.attributes).toMatchObject({ "gen_ai.usage.output_tokens": 20 });
  expect(named("prefill")).toMatchObject({ parent_id: generate.span_id });
  for (const span of [named("receive")!, named("route")!, generate, named("prefill")!]) {
    expect(span.start_ms).toBeGreaterThanOrEqual(server.start_ms - 5);
    expect(span.end_ms).toBeLessThanOrEqual(server.end_ms + 50);
  }
  const refused = await complete(cluster.url, { traceparent }, { temperature: "hot" });
  expect(refused.status).toBe(400);
  await until("a failed span", 15_000, async () =>
    collector.spans.some(({ attributes }) => attributes["error.type"] === "400"),
  );
  const metric = (name: string) =>
    collector.metrics.filter((each) => each.name === name && each.points.length > 0).at(-1);
  await until(
    "metrics",
    15_000,
    async () => (metric("gen_ai.server.request.duration")?.points.length ?? 0) > 0,
  );
  const [point] = metric("gen_ai.server.request.duration")!.points;
  expect(point?.attributes).toMatchObject({ "gen_ai.request.model": "troupe-tiny" });
  const types = metric("gen_ai.client.token.usage")!.points.map(
    ({ attributes }) => attributes["gen_ai.token.type"],
  );
  expect(types).toEqual(["input", "output"]);
  expect(metric("dynamo_frontend_requests_total")?.instance).toBe("frontend-0");
  expect(
    metric("troupe_process_event_loop_block_seconds_max") ??
      metric("dynamo_component_inflight_requests"),
  ).toBeDefined();
  expect([...collector.types]).toEqual(["application/x-protobuf"]);
}, 60_000);

test("what is not sampled is not exported, and nothing is without an endpoint or when it is disabled", async () => {
  using collector = new OtlpCollector();
  const off = { ...quick, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces` };
  const env = { ...off, OTEL_TRACES_SAMPLER: "parentbased_always_off" };
  {
    await using cluster = await startCluster(["--engine", "mocker"], { env });
    await complete(cluster.url);
    await complete(cluster.url, { traceparent: `00-${TRACE}-${PARENT}-00` });
    await complete(cluster.url, { traceparent: `00-${"1".repeat(32)}-${PARENT}-01` });
  }
  // A process that stops sends what is left.
  const seen = new Set(collector.spans.map(({ trace_id }) => trace_id));
  expect([...seen]).toEqual(["1".repeat(32)]);
  expect(collector.metrics).toEqual([]);
  collector.spans.length = 0;
  const disabled = { ...off, OTEL_SDK_DISABLED: "true" };
  await using cluster = await startCluster(["--engine", "mocker"], { env: disabled });
  const response = await complete(cluster.url);
  expect(response.headers.get("traceparent")).toBeNull();
  expect(collector.spans).toEqual([]);
}, 60_000);

test("a collector that is not there costs no answer, and the cluster stops in time", async () => {
  const env = { ...quick, OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" };
  await using cluster = await startCluster(["--engine", "mocker", "--speedup-ratio", "0"], { env });
  for (let round = 0; round < 20; round++) {
    const all = await Promise.all(Array.from({ length: 20 }, () => complete(cluster.url)));
    expect(all.every(({ status }) => status === 200)).toBe(true);
  }
  cluster.kill("SIGTERM");
  expect(await cluster.exited).toBe(0);
}, 60_000);
