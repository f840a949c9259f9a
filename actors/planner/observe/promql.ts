/**
 * One PromQL query for all figures of an interval, so that they are of one moment: Dynamo's
 * formulas (`increase` of sums over `increase` of counts), tails by `histogram_quantile`. Pure
 * functions; prometheus.ts sends the query.
 */
import { z } from "zod";
import type { Tail, Traffic } from "../pipeline/snapshot.ts";

/** frontend: by model, what clients saw. router: by namespace, for a pool of several. */
export const metricsSources = ["frontend", "router"] as const;
export type MetricsSource = (typeof metricsSources)[number];

export type TrafficQuery = {
  readonly source: MetricsSource;
  /** Compared without case, as Dynamo writes it in lower case. */
  readonly model: string;
  /** Value of the label `dynamo_namespace`; empty: of all namespaces, where the label is missing. */
  readonly namespace: string;
  readonly interval_ms: number;
};

/** By the name of a figure; a name that is missing has no value. */
export type Figures = ReadonlyMap<string, number>;

const LABEL = "figure";
const quantiles = { p50: 0.5, p95: 0.95, p99: 0.99 } as const;

const names: Readonly<Record<MetricsSource, Readonly<Record<string, string>>>> = {
  frontend: {
    ttft: "dynamo_frontend_time_to_first_token_seconds",
    itl: "dynamo_frontend_inter_token_latency_seconds",
    duration: "dynamo_frontend_request_duration_seconds",
    isl: "dynamo_frontend_input_sequence_tokens",
    osl: "dynamo_frontend_output_sequence_tokens",
    started: "dynamo_frontend_requests_started_total",
    ended: "dynamo_frontend_requests_total",
  },
  router: {
    ttft: "dynamo_component_router_time_to_first_token_seconds",
    itl: "dynamo_component_router_inter_token_latency_seconds",
    // Dynamo's routers have none; its workers do.
    duration: "dynamo_component_request_duration_seconds",
    isl: "dynamo_component_router_input_sequence_tokens",
    osl: "dynamo_component_router_output_sequence_tokens",
    started: "dynamo_component_router_requests_started_total",
    ended: "dynamo_component_router_requests_total",
  },
};
const HIT_RATE = "dynamo_component_router_kv_hit_rate";
const QUEUED = "dynamo_frontend_router_queue_pending_requests";
const QUEUE_WAIT = "troupe_router_queue_wait_seconds";

const quoted = (text: string): string =>
  `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

/** Prometheus' regular expressions are RE2, anchored at both ends. */
const ofModel = (model: string): string => `(?i:${model.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")})`;

const braced = (...labels: readonly string[]): string =>
  `{${labels.filter((label) => label !== "").join(",")}}`;

export function trafficQuery({ source, model, namespace, interval_ms }: TrafficQuery): string {
  const over = `[${Math.max(1, Math.round(interval_ms / 1_000))}s]`;
  const own = namespace === "" ? "" : `dynamo_namespace=${quoted(namespace)}`;
  // Component metrics of Dynamo write dashes as underscores.
  const underscored = namespace.replaceAll("-", "_");
  const component = namespace === "" ? "" : `dynamo_namespace=${quoted(underscored)}`;
  const byModel = `model=~${quoted(ofModel(model))}`;
  // Where a router counts all models together, it has no such label.
  const orAll = `model=~${quoted(`${ofModel(model)}|`)}`;
  const selector = source === "frontend" ? braced(byModel, own) : braced(component);
  const ofRouter = braced(orAll, component);

  const sum = (metric: string, labels = selector): string =>
    `sum(increase(${metric}${labels}${over}))`;
  const parts: string[] = [];
  const take = (name: string, expression: string): void => {
    parts.push(`label_replace(${expression}, "${LABEL}", "${name}", "", "")`);
  };
  const histogram = (name: string, metric: string, labels: string, tails: boolean): void => {
    take(`${name}_sum`, sum(`${metric}_sum`, labels));
    take(`${name}_count`, sum(`${metric}_count`, labels));
    for (const [tail, share] of tails ? Object.entries(quantiles) : []) {
      const buckets = `sum by (le) (increase(${metric}_bucket${labels}${over}))`;
      take(`${name}_${tail}`, `histogram_quantile(${share}, ${buckets})`);
    }
  };

  const { started = "", ended = "", ...histograms } = names[source];
  for (const [name, metric] of Object.entries(histograms)) {
    histogram(name, metric, selector, name !== "isl" && name !== "osl");
  }
  // Offered load; what has ended says less while requests pile up, but more than nothing.
  take("started", `(${sum(started)} or ${sum(ended)})`);
  // A door's histogram is there from the start on, its counter by status from the first such answer.
  const over_all = `${sum(`${histograms["duration"]}_count`)} or ${sum(ended)}`;
  take("ended", source === "frontend" ? `(${over_all})` : sum(ended));
  const isError = 'status="error"';
  const errors = source === "frontend" ? braced(byModel, own, isError) : braced(component, isError);
  take("failed", sum(ended, errors));
  histogram("hit", HIT_RATE, ofRouter, false);
  histogram("queue", QUEUE_WAIT, ofRouter, true);
  take("queued", `sum(${QUEUED}${ofRouter})`);
  take("accepted", acceptLength(braced(own), over));
  return parts.join(" or ");
}

/** Tokens of one decode step, from whichever engine tells of its speculation. */
function acceptLength(labels: string, over: string): string {
  const total = (name: string): string => `sum(increase(${name}${labels}${over}))`;
  const mean = (name: string): string => `avg(avg_over_time(${name}${labels}${over}))`;
  const accepted = total("vllm:spec_decode_num_accepted_tokens_total");
  const drafts = total("vllm:spec_decode_num_drafts_total");
  const others = ["sglang:spec_accept_length", "trtllm_spec_decode_acceptance_length"];
  return `(1 + ${accepted} / ${drafts} or ${others.map(mean).join(" or ")})`;
}

/** No load, length or time is higher; sums over squares of it are still finite. */
const FIGURE_MOST = 1e12;
const WORDS_MOST = 200;

const rowForm = z.object({
  metric: z.looseObject({ [LABEL]: z.string() }),
  value: z.tuple([z.unknown(), z.string()]),
});

/**
 * An answer of `/api/v1/query`; rows that are none of ours are left out. Throws a TypeError that says
 * what is not as it should be.
 */
export function figuresOf(body: unknown): Figures {
  const { status, error, data } = (body ?? {}) as Record<string, unknown>;
  if (status !== "success") {
    const words = typeof error === "string" ? error : JSON.stringify(error ?? status ?? "nothing");
    throw new TypeError(`Prometheus says: ${words.replaceAll(/\s+/g, " ").slice(0, WORDS_MOST)}`);
  }
  const { result } = (data ?? {}) as { readonly result?: unknown };
  if (!Array.isArray(result)) throw new TypeError("Prometheus' answer has no list of results");
  const figures = new Map<string, number>();
  for (const each of result) {
    const row = rowForm.safeParse(each);
    if (!row.success) continue;
    const text = row.data.value[1].trim();
    // NaN: nothing of the kind happened in the interval, as 0 / 0. No text at all is no 0.
    const value = text === "" ? Number.NaN : Number(text);
    if (value >= 0 && value <= FIGURE_MOST) figures.set(row.data.metric[LABEL], value);
  }
  return figures;
}

/** Undefined: nobody counts requests of this model. No request is a figure, and stays one. */
export function trafficOf(figures: Figures): Traffic | undefined {
  const started = figures.get("started");
  if (started === undefined) return undefined;
  const hit_rate = meanOf(figures, "hit");
  return {
    started,
    ended: figures.get("ended") ?? 0,
    failed: figures.get("failed") ?? 0,
    isl: meanOf(figures, "isl"),
    osl: meanOf(figures, "osl"),
    ttft_ms: tailOf(figures, "ttft"),
    itl_ms: tailOf(figures, "itl"),
    duration_ms: tailOf(figures, "duration"),
    queue_ms: tailOf(figures, "queue"),
    queued: figures.get("queued") ?? 0,
    oldest_queued_ms: undefined,
    kv_hit_rate: hit_rate === undefined ? undefined : Math.min(1, hit_rate),
    accept_length: figures.get("accepted"),
    attainment: undefined,
  };
}

function meanOf(figures: Figures, name: string): number | undefined {
  const count = figures.get(`${name}_count`) ?? 0;
  const sum = figures.get(`${name}_sum`);
  return sum === undefined || count <= 0 ? undefined : sum / count;
}

function tailOf(figures: Figures, name: string): Tail | undefined {
  const mean_s = meanOf(figures, name);
  const at = (tail: string): number | undefined => figures.get(`${name}_${tail}`);
  if (mean_s === undefined) return undefined;
  // Without buckets, as of a summary, the mean is all that is known.
  const ms = (tail: string): number => (at(tail) ?? mean_s) * 1_000;
  return { mean: mean_s * 1_000, p50: ms("p50"), p95: ms("p95"), p99: ms("p99") };
}
