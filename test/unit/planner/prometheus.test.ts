/** How Prometheus is asked, and what its silence means. Real answers: test/e2e/observability. */
import { describe, expect, test } from "bun:test";
import {
  type PrometheusKeys,
  PrometheusKeysError,
  PrometheusTraffic,
  prometheusDefaults,
  prometheusKeys,
} from "../../../actors/planner/observe/prometheus.ts";
import { figuresOf, trafficOf, trafficQuery } from "../../../actors/planner/observe/promql.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";

type Sent = { readonly url: string; readonly init: BunFetchRequestInit };

function asked(keys: Partial<PrometheusKeys>, answer: (n: number) => Promise<Response>) {
  const sent: Sent[] = [];
  const files = new Map<string, string>();
  const logged: string[] = [];
  const clock = new VirtualClock();
  const endpoint = "https://prometheus.example:9090/tenant/";
  const source = new PrometheusTraffic({
    ...{ namespace: "", clock },
    keys: { ...prometheusDefaults, metric_pulling_prometheus_endpoint: endpoint, ...keys },
    net: {
      fetch: (url, init) => {
        sent.push({ url, init: (init ?? {}) as BunFetchRequestInit });
        return answer(sent.length);
      },
    },
    files: { read: async (path) => Buffer.from(files.get(path) ?? "") },
    log: {
      log: (level, message, fields) => void logged.push(`${level} ${message} ${fields?.["error"]}`),
    },
  });
  return { source, sent, files, logged, clock };
}

const told = (rows: Readonly<Record<string, string>>): Response =>
  Response.json({
    status: "success",
    data: {
      result: Object.entries(rows).map(([figure, value]) => ({
        ...{ metric: { figure }, value: [0, value] },
      })),
    },
  });

describe("a query", () => {
  test("goes to the path with its parameters, the token of now and the certificates", async () => {
    const { source, sent, files } = asked(
      {
        metric_pulling_prometheus_token: "unused",
        metric_pulling_prometheus_token_file: "/token",
        metric_pulling_prometheus_ca_bundle: "/ca",
        metric_pulling_prometheus_extra_query_params: { tenant: "a b", dedup: "true" },
      },
      async () => told({ started: "3" }),
    );
    files.set("/token", "first\n").set("/ca", "CERTIFICATES");
    expect((await source.traffic("m", 5_000))?.started).toBe(3);
    files.set("/token", "second\n");
    await source.traffic("m", 5_000);
    const base = "https://prometheus.example:9090/tenant/api/v1/query?tenant=a+b&dedup=true";
    expect(sent.map(({ url }) => url)).toEqual([base, base]);
    const headers = sent.map(
      ({ init }) => (init.headers as Record<string, string>)["authorization"],
    );
    expect(headers).toEqual(["Bearer first", "Bearer second"]);
    expect(sent[0]?.init.tls).toEqual({ ca: "CERTIFICATES" });
    const query = `${new URLSearchParams(`${sent[0]?.init.body}`).get("query")}`;
    expect(query).toContain("[5s]");
  });

  test("trusts anybody where it is told so, and the system's certificates else", async () => {
    const lax = asked({ metric_pulling_prometheus_ssl_verify: false }, async () => told({}));
    await lax.source.traffic("m", 5_000);
    expect(lax.sent[0]?.init.tls).toEqual({ rejectUnauthorized: false });
    const strict = asked({}, async () => told({}));
    await strict.source.traffic("m", 5_000);
    expect(strict.sent[0]?.init.tls).toEqual({});
    expect(strict.sent[0]?.init.headers).toEqual({});
  });

  test("names the model whatever signs and letters it has", () => {
    const of = (model: string) =>
      trafficQuery({ source: "frontend", model, namespace: 'a"b', interval_ms: 180_000 });
    const query = of('Org/Model-1.5"x');
    expect(query).toContain('model=~"(?i:Org/Model-1\\\\.5\\"x)"');
    expect(query).toContain('dynamo_namespace="a\\"b"');
    expect(query).toContain("dynamo_frontend_requests_started_total");
    expect(query).toContain("[180s]");
  });
});

describe("an answer", () => {
  test("0 stays 0, what is missing or NaN stays unknown", () => {
    const idle = trafficOf(
      new Map([
        ["started", 0],
        ["ttft_count", 0],
        ["ttft_sum", 0],
      ]),
    );
    expect(idle).toMatchObject({ started: 0, ended: 0, failed: 0, queued: 0 });
    expect(idle?.ttft_ms).toBeUndefined();
    expect(idle?.kv_hit_rate).toBeUndefined();
    expect(trafficOf(new Map([["ended", 4]]))).toBeUndefined();
    const rows = [
      { metric: { figure: "started" }, value: [0, "NaN"] },
      { metric: { figure: "ended" }, value: [0, "+Inf"] },
      { metric: {}, value: [0, "1"] },
    ];
    expect([...figuresOf({ status: "success", data: { result: rows } })]).toEqual([]);
  });

  test("means and tails in ms", () => {
    const figures = new Map([
      ...([
        ["started", 10],
        ["ttft_sum", 5],
        ["ttft_count", 10],
      ] as const),
      ...([
        ["ttft_p50", 0.25],
        ["ttft_p95", 2],
        ["ttft_p99", 4],
      ] as const),
      ...([
        ["itl_sum", 1],
        ["itl_count", 50],
        ["hit_sum", 2.5],
        ["hit_count", 10],
      ] as const),
    ]);
    expect(trafficOf(figures)).toMatchObject({
      ttft_ms: { mean: 500, p50: 250, p95: 2_000, p99: 4_000 },
      itl_ms: { mean: 20, p50: 20, p95: 20, p99: 20 },
      kv_hit_rate: 0.25,
    });
  });

  test("that is none leaves the traffic unknown, said once until it answers again", async () => {
    const bad = Response.json({ status: "error", error: "parse error" }, { status: 400 });
    const answers = [
      () => Promise.reject(new Error("refused")),
      () => Promise.reject(new Error("refused")),
      () => Promise.resolve(bad),
      () => Promise.resolve(new Response("<html>", { status: 502 })),
      () => Promise.resolve(told({ started: "0" })),
    ];
    const { source, logged } = asked({}, (n) => (answers[n - 1] as () => Promise<Response>)());
    for (let i = 0; i < 4; i++) expect(await source.traffic("m", 5_000)).toBeUndefined();
    expect((await source.traffic("m", 5_000))?.started).toBe(0);
    expect(logged).toEqual([
      "warn no traffic from Prometheus refused",
      "warn no traffic from Prometheus Prometheus says: parse error",
      "warn no traffic from Prometheus prometheus.example:9090 " +
        "answers 502 without JSON: is it a Prometheus?",
      "info Prometheus answers again undefined",
    ]);
  });

  test("that does not come is waited for ten seconds", async () => {
    const { source, sent, clock } = asked({}, (n) => {
      const stop = sent[n - 1]?.init.signal;
      return new Promise((_, reject) => {
        stop?.addEventListener("abort", () => reject(new Error("aborted")));
      });
    });
    const silent = source.traffic("m", 5_000);
    await clock.advance(10_000);
    expect(await silent).toBeUndefined();
    expect(clock.pending).toBe(0);
  });
});

test("the endpoint comes from the configuration or the environment, and is an address", () => {
  const url = "http://prometheus:9090";
  expect(prometheusKeys({}, {}).metric_pulling_prometheus_endpoint).toBe("");
  const of = (given: Partial<PrometheusKeys>, env: Record<string, string>) =>
    prometheusKeys(given, env).metric_pulling_prometheus_endpoint;
  expect(of({}, { PROMETHEUS_ENDPOINT: url })).toBe(url);
  const given = { metric_pulling_prometheus_endpoint: "https://other" };
  expect(of(given, { PROMETHEUS_ENDPOINT: url })).toBe("https://other");
  expect(() => of({}, { PROMETHEUS_ENDPOINT: "prometheus:9090" })).toThrow(PrometheusKeysError);
});
