/**
 * The environments of a planner whose workers are not this cluster's: `virtual`, where somebody
 * else's launcher obeys, and `kubernetes`. Both read traffic from Prometheus.
 */
import type { Capabilities } from "../../../runtime/capabilities.ts";
import type { RedisCalls } from "../../../runtime/store/redis-calls.ts";
import type { Connector } from "../connect/connector.ts";
import { KubernetesConnector } from "../connect/kubernetes.ts";
import { inCluster, KubernetesApi } from "../connect/kubernetes-api.ts";
import { VirtualConnector } from "../connect/virtual.ts";
import { redisKeys, storeKeys } from "../connect/virtual-keys.ts";
import { OutsideObserver } from "../observe/outside-observer.ts";
import {
  type PrometheusKeys,
  PrometheusKeysError,
  PrometheusTraffic,
} from "../observe/prometheus.ts";
import type { PlannerConfig } from "../pipeline/config.ts";

export type EnvironmentOptions = {
  readonly model: string;
  readonly config: Pick<PlannerConfig, "mode" | "start_timeout_seconds">;
  readonly prometheus: PrometheusKeys;
  /** Dynamo's: DYN_NAMESPACE or `dynamo`. Of the keys, and of the label `dynamo_namespace`. */
  readonly namespace: string;
  readonly capabilities: Pick<Capabilities, "clock" | "net" | "files" | "log" | "store">;
};

export type Environment = {
  readonly connector: Connector;
  readonly observer: OutsideObserver;
  close(): void;
};

/** Throws PrometheusKeysError. Keys stand in Redis where there is one, else in the store. */
export function virtualEnvironment(
  options: EnvironmentOptions & {
    /** For people: who decides. */
    readonly planner: string;
    readonly redis: RedisCalls | undefined;
  },
): Environment {
  const { capabilities, namespace, planner, redis, config } = options;
  const { clock, log, store } = capabilities;
  const keys = redis === undefined ? storeKeys(store, namespace) : redisKeys(redis, namespace);
  const { mode } = config;
  return environment(options, new VirtualConnector({ keys, clock, log, planner, mode }));
}

/** Throws PrometheusKeysError, or KubernetesError outside of a pod. */
export function kubernetesEnvironment(
  options: EnvironmentOptions & { readonly env: Readonly<Record<string, string | undefined>> },
): Environment {
  const { clock, net, files, log } = options.capabilities;
  const { graph, check_ms, wait_ms, ...access } = inCluster(options.env);
  const api = new KubernetesApi({ ...access, clock, net, files });
  const { mode, start_timeout_seconds } = options.config;
  const patience_ms = 1_000 * start_timeout_seconds;
  const connector = new KubernetesConnector({
    ...{ api, graph, mode, clock, log, check_ms, wait_ms, patience_ms },
  });
  return environment(options, connector);
}

/**
 * What an environment needs of its process, before any model is there. Throws PrometheusKeysError,
 * or KubernetesError outside of a pod.
 */
export function checkEnvironment(
  environment: PlannerConfig["environment"],
  prometheus: PrometheusKeys,
  env: Readonly<Record<string, string | undefined>>,
): void {
  if (environment === "local") return;
  if (environment === "kubernetes") inCluster(env);
  checkEndpoint(prometheus);
}

function checkEndpoint(prometheus: PrometheusKeys): void {
  if (prometheus.metric_pulling_prometheus_endpoint !== "") return;
  const why = "this environment reads traffic from Prometheus: set PROMETHEUS_ENDPOINT";
  throw new PrometheusKeysError(`${why}, as http://prometheus:9090`);
}

function environment(
  { model, prometheus, namespace, capabilities }: EnvironmentOptions,
  connector: Connector & { close(): void },
): Environment {
  checkEndpoint(prometheus);
  const { clock, net, files, log } = capabilities;
  const source = new PrometheusTraffic({ keys: prometheus, namespace, clock, net, files, log });
  const traffic = (interval_ms: number) => source.traffic(model, interval_ms);
  return {
    connector,
    observer: new OutsideObserver({ model, clock, connector, traffic }),
    close: () => connector.close(),
  };
}
