/**
 * The door's figures under Dynamo's names, so that its dashboards work. Series are looked up once a
 * request; a token costs two additions and one bucket.
 */
import type { ModelCard } from "../../proto/index.ts";
import type { Clock } from "../../runtime/capabilities.ts";
import type { Counter, Gauge, Histogram, Metrics } from "../../runtime/observe/metrics.ts";
import type { AnswerUsage } from "../stream/stream.ts";
import { KeyMetrics } from "./access/key-metrics.ts";
import { errorClass } from "./api/api-error.ts";
import type { TimedStage } from "./prompt/prepare-context.ts";
import type { RequestEntry } from "./requests/request-entry.ts";

export type RequestType = "stream" | "unary";

/** Events of one request; the first of finished, failed and disconnected counts. */
export interface RequestMeter {
  tokens(count: number): void;
  finished(usage: AnswerUsage): void;
  failed(status: number): void;
  disconnected(): void;
}

const seconds = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
];
const tokenSeconds = [
  0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
];
const tokenCounts = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576];
const stageSeconds = [0.000_01, 0.000_05, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

const PREFIX = "dynamo_frontend";
const CACHED_BY_TIER = "troupe_frontend_cached_tokens_total";
const CACHED_BY_TIER_HELP = "Prompt tokens found in a cache, by the tier where they lay.";

type MeteredAs = { readonly model: string; readonly endpoint: string; readonly type: RequestType };

/** Series of one model. */
type ModelSeries = {
  readonly inflight: Gauge;
  readonly queued: Gauge;
  readonly started: Counter;
  readonly disconnected: Counter;
  readonly duration_s: Histogram;
  readonly first_token_s: Histogram;
  readonly between_tokens_s: Histogram;
  readonly input_tokens: Histogram;
  readonly output_tokens: Histogram;
  readonly cached_tokens: Histogram;
  /** Made when the first answer tells of tiers. */
  readonly tier: (name: string) => Counter;
  readonly output_total: Counter;
};

export class FrontendMetrics implements TimedStage {
  readonly keys: KeyMetrics;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #models = new Map<string, ModelSeries>();
  readonly #stages = new Map<string, Histogram>();
  readonly #ended = new Map<string, Counter>();
  #stage_from_ms = 0;

  constructor(metrics: Metrics, clock: Clock) {
    this.keys = new KeyMetrics(metrics);
    this.#metrics = metrics;
    this.#clock = clock;
  }

  /**
   * A request that passed every check. `endpoint`: the name of its dialect, or "streams" when it
   * resumes. `entry` hears of what the meter hears; `ended` is called once, when it is over.
   */
  request(
    { model, endpoint, type }: MeteredAs,
    arrived_ms: number,
    entry: RequestEntry | undefined,
    ended: () => void,
  ): RequestMeter {
    const count = (status: string, error_type: string) =>
      this.#count(model, endpoint, type, status, error_type);
    const series = this.#modelSeries(model);
    series.started.add();
    return new LiveMeter({ series, clock: this.#clock, arrived_ms, entry, count, ended });
  }

  /** A request that was answered without any worker. */
  answered(model: string, endpoint: string): void {
    this.#count(model, endpoint, "unary", "success", "");
  }

  /** A request that never got as far as a stream actor. `model` is "" unless it is a served one. */
  refused(model: string, endpoint: string, type: RequestType, status: number): void {
    this.#count(model, endpoint, type, "error", errorClass(status));
  }

  begin(): void {
    this.#stage_from_ms = this.#clock.now_ms();
  }

  /** `begin` and `end` are called in one turn, so that one start time is enough. */
  end(stage: "template" | "tokenize"): void {
    const from_ms = this.#stage_from_ms;
    this.stage(stage, from_ms);
    this.begin();
  }

  /** How long a step before the first token took. */
  stage(name: string, from_ms: number): void {
    let series = this.#stages.get(name);
    if (series === undefined) {
      const help = "Time of one step on the way of a request, in seconds";
      const labels = { stage: name };
      series = this.#metrics.histogram(
        `${PREFIX}_stage_duration_seconds`,
        help,
        stageSeconds,
        labels,
      );
      this.#stages.set(name, series);
    }
    series.observe((this.#clock.now_ms() - from_ms) / 1000);
  }

  /** The facts of a model's card, for dashboards; the last card of a name counts. */
  model(card: ModelCard): void {
    const facts: readonly (readonly [string, string, number])[] = [
      ["model_context_length", "Prompt and answer together, in tokens", card.context_length],
      ["model_kv_cache_block_size", "Tokens in a block", card.block_size],
      ["model_total_kv_blocks", "Blocks of one worker", card.total_blocks],
      ["model_max_num_seqs", "Sequences of one worker at once", card.max_num_seqs],
      ["model_max_num_batched_tokens", "Tokens of one step", card.max_num_batched_tokens],
    ];
    // From now on zero requests are a figure, and the first ones are seen to come.
    this.#modelSeries(card.name);
    const labels = { model: card.name };
    for (const [name, help, value] of facts) {
      this.#metrics.gauge(`${PREFIX}_${name}`, help, labels).set(value);
    }
  }

  /** `read` is asked whenever the page is rendered. */
  eventLoopDelay(read_s: () => number): void {
    const help = "Longest lateness of a timer since the last look, in seconds";
    this.#metrics.gauge(`${PREFIX}_event_loop_delay_seconds`, help, {}, read_s);
  }

  #count(
    model: string,
    endpoint: string,
    request_type: RequestType,
    status: string,
    error_type: string,
  ): void {
    const key = `${model}\n${endpoint}\n${request_type}\n${status}\n${error_type}`;
    let series = this.#ended.get(key);
    if (series === undefined) {
      const labels = { model, endpoint, request_type, status, error_type };
      series = this.#metrics.counter(
        `${PREFIX}_requests_total`,
        "Requests that have ended",
        labels,
      );
      this.#ended.set(key, series);
    }
    series.add();
  }

  #modelSeries(model: string): ModelSeries {
    const known = this.#models.get(model);
    if (known !== undefined) return known;
    const labels = { model };
    const histogram = (name: string, help: string, bounds: readonly number[]) =>
      this.#metrics.histogram(`${PREFIX}_${name}`, help, bounds, labels);
    const counter = (name: string, help: string) =>
      this.#metrics.counter(`${PREFIX}_${name}`, help, labels);
    const series: ModelSeries = {
      inflight: this.#metrics.gauge(`${PREFIX}_inflight_requests`, "Requests in work", labels),
      queued: this.#metrics.gauge(`${PREFIX}_queued_requests`, "Before the first token", labels),
      started: counter("requests_started_total", "Requests that passed every check"),
      disconnected: counter("disconnected_clients", "Clients that left before their answer's end"),
      duration_s: histogram("request_duration_seconds", "From arrival to the end", seconds),
      first_token_s: histogram("time_to_first_token_seconds", "From arrival on", seconds),
      between_tokens_s: histogram("inter_token_latency_seconds", "Between tokens", tokenSeconds),
      input_tokens: histogram("input_sequence_tokens", "Prompt tokens of a request", tokenCounts),
      output_tokens: histogram("output_sequence_tokens", "Answer tokens of a request", tokenCounts),
      cached_tokens: histogram("cached_tokens", "Prompt tokens found in a cache", tokenCounts),
      output_total: counter("output_tokens_total", "Answer tokens"),
      tier: (tier) =>
        this.#metrics.counter(CACHED_BY_TIER, CACHED_BY_TIER_HELP, { ...labels, tier }),
    };
    this.#models.set(model, series);
    return series;
  }
}

type LiveMeterParts = {
  readonly series: ModelSeries;
  readonly clock: Clock;
  readonly arrived_ms: number;
  readonly entry: RequestEntry | undefined;
  readonly count: (status: string, error_type: string) => void;
  readonly ended: () => void;
};

class LiveMeter implements RequestMeter {
  readonly #series: ModelSeries;
  readonly #clock: Clock;
  readonly #arrived_ms: number;
  readonly #entry: RequestEntry | undefined;
  readonly #count: (status: string, error_type: string) => void;
  readonly #ended: () => void;
  /** Time of the last token; 0 before the first. */
  #last_ms = 0;
  #open = true;

  constructor({ series, clock, arrived_ms, entry, count, ended }: LiveMeterParts) {
    this.#series = series;
    this.#entry = entry;
    this.#clock = clock;
    this.#arrived_ms = arrived_ms;
    this.#count = count;
    this.#ended = ended;
    series.inflight.set(series.inflight.value + 1);
    series.queued.set(series.queued.value + 1);
  }

  tokens(count: number): void {
    const now_ms = this.#clock.now_ms();
    if (this.#last_ms === 0) {
      this.#series.queued.set(this.#series.queued.value - 1);
      this.#series.first_token_s.observe((now_ms - this.#arrived_ms) / 1000);
    } else if (count > 0) {
      this.#series.between_tokens_s.observe((now_ms - this.#last_ms) / 1000 / count);
    }
    this.#last_ms = now_ms;
    this.#series.output_total.add(count);
    this.#entry?.tokens(count, now_ms);
  }

  finished(usage: AnswerUsage): void {
    this.#entry?.finished(usage);
    if (!this.#close("success", "")) return;
    this.#series.input_tokens.observe(usage.prompt_tokens);
    this.#series.output_tokens.observe(usage.completion_tokens);
    this.#series.cached_tokens.observe(usage.cached_tokens);
    for (const [tier, tokens] of Object.entries(usage.cached_by_tier ?? {})) {
      this.#series.tier(tier).add(tokens);
    }
  }

  failed(status: number): void {
    this.#entry?.failed(status);
    this.#close("error", errorClass(status));
  }

  disconnected(): void {
    this.#entry?.disconnected();
    if (this.#close("error", errorClass(499))) this.#series.disconnected.add();
  }

  #close(status: string, error_type: string): boolean {
    if (!this.#open) return false;
    this.#open = false;
    this.#series.inflight.set(this.#series.inflight.value - 1);
    if (this.#last_ms === 0) this.#series.queued.set(this.#series.queued.value - 1);
    this.#series.duration_s.observe((this.#clock.now_ms() - this.#arrived_ms) / 1000);
    this.#count(status, error_type);
    this.#ended();
    return true;
  }
}
