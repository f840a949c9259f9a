/** A planner whose workers are somebody else's: what it sees, and what it needs. */
import { expect, test } from "bun:test";
import { KubernetesConnector } from "../../../actors/planner/connect/kubernetes.ts";
import {
  PrometheusKeysError,
  prometheusDefaults,
  prometheusKeys,
} from "../../../actors/planner/observe/prometheus.ts";
import {
  checkEnvironment,
  kubernetesEnvironment,
  virtualEnvironment,
} from "../../../actors/planner/outside/environments.ts";
import type { Net } from "../../../runtime/capabilities.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import { plan_config } from "../../support/planner/plan-cases.ts";

function around(endpoint = "http://prometheus:9090", started = "120") {
  const clock = new VirtualClock();
  const queries: string[] = [];
  const fetch = async (_url: string, init?: RequestInit): Promise<Response> => {
    queries.push(`${new URLSearchParams(`${init?.body}`).get("query")}`);
    const row = { metric: { figure: "started" }, value: [0, started] };
    return Response.json({ status: "success", data: { result: [row] } });
  };
  const keys = { ...prometheusDefaults, metric_pulling_prometheus_endpoint: endpoint };
  const options = {
    ...{ model: "m", namespace: "dynamo", prometheus: keys },
    config: { ...plan_config, mode: "disagg" as const },
    capabilities: {
      ...{ clock, store: new MemoryStore(), log: { log() {} } },
      net: { fetch } as unknown as Net,
      files: { read: async () => Buffer.from("token") } as never,
    },
  };
  return { clock, queries, options };
}

test("virtual: workers are counted, traffic is scaled to the interval, states have their time", async () => {
  const { clock, queries, options } = around();
  const virtual = virtualEnvironment({ ...options, planner: "p", redis: undefined });
  expect(await virtual.observer.look()).toBeUndefined();
  void virtual.connector.add({ change: "a", epoch: 1, model: "m" }, "decode", 2);
  await clock.advance(5_000);
  const first = await virtual.observer.look();
  expect(queries.at(-1)).toContain('dynamo_namespace="dynamo"');
  expect(queries.at(-1)).toContain("[60s]");
  expect(first?.traffic?.started).toBeCloseTo(10, 9);
  expect(first?.interval_ms).toBe(5_000);
  expect(first?.workers.map(({ worker, state, reports }) => [worker, state, reports])).toEqual([
    ["decode-1", "starting", false],
    ["decode-2", "starting", false],
  ]);
  await clock.advance(5_000);
  const second = await virtual.observer.look();
  expect(second?.workers[0]?.since_ms).toBe(first?.at_ms as number);
  virtual.observer.forget();
  await clock.advance(5_000);
  expect(await virtual.observer.look()).toBeUndefined();
  virtual.close();
});

test("both need a Prometheus, and kubernetes a pod", () => {
  const without = around("").options;
  expect(() => virtualEnvironment({ ...without, planner: "p", redis: undefined })).toThrow(
    PrometheusKeysError,
  );
  const { options } = around();
  expect(() => kubernetesEnvironment({ ...options, env: {} })).toThrow("KUBERNETES_SERVICE_HOST");
  const env = { KUBERNETES_SERVICE_HOST: "10.0.0.1", DYN_PARENT_DGD_K8S_NAME: "g" };
  const kubernetes = kubernetesEnvironment({ ...options, env });
  expect(kubernetes.connector).toBeInstanceOf(KubernetesConnector);
  kubernetes.close();
});

test.each([
  ["local", {}, undefined],
  ["virtual", {}, /set PROMETHEUS_ENDPOINT/],
  ["virtual", { PROMETHEUS_ENDPOINT: "http://p:9090" }, undefined],
  ["kubernetes", { PROMETHEUS_ENDPOINT: "http://p:9090" }, /KUBERNETES_SERVICE_HOST is not set/],
] as const)("%s with %o is told at the start what it lacks", (environment, env, lacks) => {
  const check = () => checkEnvironment(environment, prometheusKeys({}, env), env);
  if (lacks === undefined) expect(check).not.toThrow();
  else expect(check).toThrow(lacks);
});
