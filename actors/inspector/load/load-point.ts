/**
 * One moment of a cluster's load, out of what its processes have counted at two moments. Pure.
 *
 * Counters begin anew with each process, so the difference is taken process by process; one that
 * counts less than before has begun anew, and all that it counts is new. A rate is over the time
 * between the two answers of its own process.
 */
import type { LoadFigures } from "../../../proto/index.ts";
import { type Buckets, quantile, rise, risen, sumOf } from "./buckets.ts";

/** What all processes answered at a moment, by node. */
export type Sample = ReadonlyMap<string, { readonly at_ms: number; readonly said: LoadFigures }>;

/** Null: nothing of the kind happened. */
export type LoadSums = {
  readonly requests_per_s: number;
  readonly tokens_per_s: number;
  readonly ttft_p50_ms: number | null;
  readonly ttft_p99_ms: number | null;
  readonly itl_p50_ms: number | null;
  readonly itl_p99_ms: number | null;
  readonly running: number;
  readonly waiting: number;
  /** Of the prompt tokens that workers took, those that were cached. */
  readonly cached_share: number | null;
};

export type WorkerLoadPoint = {
  readonly model: string;
  readonly role: string;
  readonly tokens_per_s: number;
  readonly running: number;
  readonly waiting: number;
  readonly kv_used: number;
  readonly kv_total: number;
  readonly cached_share: number | null;
};

export type LoadPoint = {
  /** Wall clock. */
  readonly at_ms: number;
  readonly total: LoadSums;
  readonly workers: Readonly<Record<string, WorkerLoadPoint>>;
  readonly models: Readonly<Record<string, LoadSums>>;
};

/** What is added up, for one model and for all. */
class Sums {
  requests_per_s = 0;
  tokens_per_s = 0;
  running = 0;
  waiting = 0;
  prompt_tokens = 0;
  cached_tokens = 0;
  first_token_s: Buckets | undefined;
  between_tokens_s: Buckets | undefined;

  get point(): LoadSums {
    const first = (share: number) => inMs(quantile(this.first_token_s, share));
    const between = (share: number) => inMs(quantile(this.between_tokens_s, share));
    return {
      requests_per_s: rounded(this.requests_per_s),
      tokens_per_s: rounded(this.tokens_per_s),
      ttft_p50_ms: first(0.5),
      ttft_p99_ms: first(0.99),
      itl_p50_ms: between(0.5),
      itl_p99_ms: between(0.99),
      running: this.running,
      waiting: this.waiting,
      cached_share: shareOf(this.cached_tokens, this.prompt_tokens),
    };
  }
}

export type Look = {
  /** Wall clock. */
  readonly at_ms: number;
  /** Since the look before, whose sample may be empty. */
  readonly since_ms: number;
  /** Rows of workers; the others are in the sums alone. */
  readonly workers_max: number;
};

/**
 * A process that was not in the sample before counts from its begin if that was since then. Another
 * one (it was not heard of) counts from here on.
 */
export function pointBetween(before: Sample, now: Sample, look: Look): LoadPoint {
  const adding = new Adding();
  for (const [node, { said, at_ms }] of now) {
    const earlier = before.get(node);
    const isNew = earlier === undefined && said.up_ms <= look.since_ms;
    const since_ms = earlier === undefined ? (isNew ? look.since_ms : 0) : at_ms - earlier.at_ms;
    const base = isNew ? { ...said, models: [], workers: [] } : (earlier?.said ?? said);
    adding.addModels(said, base, since_ms / 1_000);
    adding.addWorkers(said, base, since_ms / 1_000);
  }
  const models = byName([...adding.models]);
  return {
    at_ms: look.at_ms,
    total: adding.total.point,
    workers: Object.fromEntries(busiest(adding.workers, look.workers_max)),
    models: Object.fromEntries(models.map(([name, sums]) => [name, sums.point])),
  };
}

/** Adds up process by process. */
class Adding {
  readonly total = new Sums();
  readonly models = new Map<string, Sums>();
  readonly workers: WorkerRow[] = [];

  /** `seconds` 0: the process was not heard of before. */
  addModels(now: LoadFigures, before: LoadFigures, seconds: number): void {
    const known = new Map(before.models.map((each) => [each.model, each]));
    for (const each of now.models) {
      const past = known.get(each.model);
      const requests = rise(past?.requests_total, each.requests_total);
      const tokens = rise(past?.output_tokens_total, each.output_tokens_total);
      const first = risen(past?.first_token_s, each.first_token_s);
      const between = risen(past?.between_tokens_s, each.between_tokens_s);
      for (const sums of this.#sumsOf(each.model)) {
        sums.waiting += each.queued;
        if (seconds <= 0) continue;
        sums.requests_per_s += requests / seconds;
        sums.tokens_per_s += tokens / seconds;
        sums.first_token_s = sumOf(sums.first_token_s, first);
        sums.between_tokens_s = sumOf(sums.between_tokens_s, between);
      }
    }
  }

  addWorkers(now: LoadFigures, before: LoadFigures, seconds: number): void {
    const known = new Map(before.workers.map((each) => [each.worker, each]));
    for (const each of now.workers) {
      const past = known.get(each.worker);
      const prompt = rise(past?.prompt_tokens_total, each.prompt_tokens_total);
      const cached = rise(past?.cached_tokens_total, each.cached_tokens_total);
      const { worker, model, role, running, waiting, kv_used, kv_total } = each;
      for (const sums of this.#sumsOf(model)) {
        sums.running += running;
        sums.waiting += waiting;
        sums.prompt_tokens += prompt;
        sums.cached_tokens += cached;
      }
      const made = rise(past?.generated_tokens_total, each.generated_tokens_total);
      const tokens_per_s = seconds > 0 ? rounded(made / seconds) : 0;
      const cached_share = shareOf(cached, prompt);
      const row = { model, role, tokens_per_s, running, waiting, kv_used, kv_total, cached_share };
      this.workers.push([worker, row]);
    }
  }

  /** Requests that name no model are in the total alone. */
  #sumsOf(model: string): readonly Sums[] {
    if (model === "") return [this.total];
    const sums = this.models.get(model) ?? new Sums();
    this.models.set(model, sums);
    return [this.total, sums];
  }
}

type WorkerRow = [name: string, row: WorkerLoadPoint];

function busiest(rows: readonly WorkerRow[], most: number): readonly WorkerRow[] {
  const weight = ([, { tokens_per_s, running, waiting }]: WorkerRow) =>
    tokens_per_s + running + waiting;
  const kept =
    rows.length <= most ? rows : rows.toSorted((a, b) => weight(b) - weight(a)).slice(0, most);
  return byName(kept);
}

const byName = <T extends readonly [string, unknown]>(rows: readonly T[]): T[] =>
  rows.toSorted(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));

const shareOf = (part: number, whole: number): number | null =>
  whole > 0 ? Math.round((1_000 * part) / whole) / 1_000 : null;

/** Three digits behind the point are enough to draw. */
const rounded = (value: number): number => Math.round(1_000 * value) / 1_000;

const inMs = (seconds: number | undefined): number | null =>
  seconds === undefined ? null : rounded(1_000 * seconds);
