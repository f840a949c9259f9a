/**
 * Traffic of a model from Prometheus, for clusters that are not ours or whose figures are collected
 * there already. Asked once a tick; the workers' own figures do not come from here.
 */
import type { Clock, Files, Log, Net } from "../../../runtime/capabilities.ts";
import { errorText } from "../../../runtime/error-text.ts";
import { fetchText } from "../outside/timed.ts";
import type { Traffic } from "../pipeline/snapshot.ts";
import { figuresOf, type MetricsSource, trafficOf, trafficQuery } from "./promql.ts";

/** By Dynamo's keys of a planner's configuration. */
export type PrometheusKeys = {
  readonly metric_pulling_prometheus_endpoint: string;
  readonly metric_pulling_prometheus_token: string;
  /** Read again for each query, as Kubernetes changes it. Wins over the token. */
  readonly metric_pulling_prometheus_token_file: string;
  readonly metric_pulling_prometheus_ssl_verify: boolean;
  /** Path of certificates that are trusted instead of the system's. */
  readonly metric_pulling_prometheus_ca_bundle: string;
  /** Added to each query's URL: a tenant's name, a deduplication switch. */
  readonly metric_pulling_prometheus_extra_query_params: Readonly<Record<string, string>>;
  readonly throughput_metrics_source: MetricsSource;
};

/** An empty endpoint: Prometheus is not asked. */
export const prometheusDefaults: PrometheusKeys = {
  metric_pulling_prometheus_endpoint: "",
  metric_pulling_prometheus_token: "",
  metric_pulling_prometheus_token_file: "",
  metric_pulling_prometheus_ssl_verify: true,
  metric_pulling_prometheus_ca_bundle: "",
  metric_pulling_prometheus_extra_query_params: {},
  throughput_metrics_source: "frontend",
};

export type PrometheusOptions = {
  readonly keys: PrometheusKeys;
  /** Of the label `dynamo_namespace`; empty: any. */
  readonly namespace: string;
  readonly clock: Clock;
  readonly net: Pick<Net, "fetch">;
  readonly files: Pick<Files, "read">;
  readonly log: Log;
};

const TIMEOUT_MS = 10_000;

export class PrometheusTraffic {
  readonly #options: PrometheusOptions;
  /** Said once, until it answers again. */
  #silent_why = "";

  constructor(options: PrometheusOptions) {
    this.#options = options;
  }

  /**
   * Of the last `interval_ms`, which must hold two scrapes at least. Undefined: Prometheus does not
   * answer, or has no such model; that is not "no requests".
   */
  async traffic(model: string, interval_ms: number): Promise<Traffic | undefined> {
    const { keys, namespace, log } = this.#options;
    const source = keys.throughput_metrics_source;
    const query = trafficQuery({ source, model, namespace, interval_ms });
    try {
      const traffic = trafficOf(figuresOf(await this.#ask(query)));
      if (this.#silent_why !== "") log.log("info", "Prometheus answers again");
      this.#silent_why = "";
      return traffic;
    } catch (error) {
      const why = errorText(error);
      if (why !== this.#silent_why) log.log("warn", "no traffic from Prometheus", { error: why });
      this.#silent_why = why;
      return undefined;
    }
  }

  async #ask(query: string): Promise<unknown> {
    const { keys } = this.#options;
    const url = new URL(keys.metric_pulling_prometheus_endpoint);
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/v1/query`;
    const extra = Object.entries(keys.metric_pulling_prometheus_extra_query_params);
    for (const [name, value] of extra) url.searchParams.set(name, value);
    const token = await this.#token();
    const init: BunFetchRequestInit = {
      // The query is too long for an address.
      method: "POST",
      body: new URLSearchParams({ query }),
      headers: token === "" ? {} : { authorization: `Bearer ${token}` },
      ...(url.protocol === "https:" ? { tls: await this.#tls() } : {}),
    };
    const { status, text } = await fetchText(this.#options, url.href, init, TIMEOUT_MS);
    const body = parsed(text);
    if (body === undefined) {
      throw new TypeError(`${url.host} answers ${status} without JSON: is it a Prometheus?`);
    }
    return body;
  }

  async #token(): Promise<string> {
    const { keys, files } = this.#options;
    const path = keys.metric_pulling_prometheus_token_file;
    if (path === "") return keys.metric_pulling_prometheus_token;
    return Buffer.from(await files.read(path))
      .toString()
      .trim();
  }

  async #tls(): Promise<{ rejectUnauthorized?: boolean; ca?: string }> {
    const { keys, files } = this.#options;
    if (!keys.metric_pulling_prometheus_ssl_verify) return { rejectUnauthorized: false };
    const path = keys.metric_pulling_prometheus_ca_bundle;
    return path === "" ? {} : { ca: Buffer.from(await files.read(path)).toString() };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Those of the environment where the configuration says nothing; PROMETHEUS_ENDPOINT is Dynamo's. */
export function prometheusKeys(
  given: Partial<PrometheusKeys>,
  env: Readonly<Record<string, string | undefined>>,
): PrometheusKeys {
  const endpoint = env["PROMETHEUS_ENDPOINT"] ?? "";
  const keys = { ...prometheusDefaults, metric_pulling_prometheus_endpoint: endpoint, ...given };
  const url = keys.metric_pulling_prometheus_endpoint;
  if (url !== "" && !isAddress(url)) {
    const why = `PROMETHEUS_ENDPOINT is an address as http://prometheus:9090, not ${url}`;
    throw new PrometheusKeysError(why);
  }
  return keys;
}

const isAddress = (url: string): boolean => /^https?:\/\//.test(url) && URL.canParse(url);

export class PrometheusKeysError extends Error {
  override readonly name = "PrometheusKeysError";
  readonly code = "bad_prometheus_endpoint";
}
