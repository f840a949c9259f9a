/**
 * How many workers of which role hold an SLA, by the rates that the planner itself computes
 * (actors/planner/propose/engine-rates.ts), and what a GPU makes as answers may take longer.
 * Picks are NVIDIA Dynamo's: the fewest GPUs for a load, the most requests for a budget, or one
 * worker of each role for a planner to begin with. All times are means.
 */
import {
  aggregatedRate,
  computedTokens,
  contextOf,
  type Demand,
  decodeRate,
  type EngineRate,
  prefillRate,
  type Sla,
} from "../../../actors/planner/propose/engine-rates.ts";
import type { ProfiledEngine } from "./engine.ts";
import { countsBetween } from "./sweep-plan.ts";

export type Asked = {
  readonly sla: Sla;
  readonly demand: Demand;
  /** Undefined: as many as the budget can do. */
  readonly requests_per_s: number | undefined;
  /** Undefined: no limit; there is one where no rate is given. */
  readonly gpus: number | undefined;
  /** A planner is to grow it from one worker of each role. */
  readonly autoscale: boolean;
};

export type Workers =
  | { readonly kind: "aggregated"; readonly workers: number }
  | { readonly kind: "disaggregated"; readonly prefill: number; readonly decode: number };

export type Candidate = {
  readonly workers: Workers;
  readonly gpus: number;
  /** What it can do within the SLA. */
  readonly capacity_per_s: number;
  readonly tokens_per_s_per_gpu: number;
  /** At the load, or at its capacity when none is given. */
  readonly ttft_ms: number;
  readonly itl_ms: number;
  /** Within SLA and budget, and the load is done. */
  readonly holds: boolean;
};

export type Recommendation = {
  readonly pick: "load-match" | "default" | "autoscale";
  /** Undefined: nothing holds the SLA. */
  readonly best: Candidate | undefined;
  /** When nothing holds it within the budget: what would. */
  readonly beyond_budget: Candidate | undefined;
  /** Best first. */
  readonly candidates: readonly Candidate[];
  /** A lone request: no number of workers is quicker. */
  readonly reachable: { readonly ttft_ms: number; readonly itl_ms: number };
};

const candidates_max = 12;

export function recommend(engine: ProfiledEngine, asked: Asked): Recommendation {
  const lone = loneRequest(engine, asked.demand);
  const candidates = asked.autoscale
    ? [aggregated(engine, asked, 1), disaggregated(engine, asked, 1, 1)]
    : [...aggregatedOnes(engine, asked), ...disaggregatedOnes(engine, asked)];
  const load_match = asked.requests_per_s !== undefined && !asked.autoscale;
  candidates.sort((a, b) => {
    if (a.holds !== b.holds) return a.holds ? -1 : 1;
    if (load_match && a.holds && a.gpus !== b.gpus) return a.gpus - b.gpus;
    if (asked.autoscale) return b.tokens_per_s_per_gpu - a.tokens_per_s_per_gpu;
    return b.capacity_per_s - a.capacity_per_s || a.gpus - b.gpus;
  });
  const [first] = candidates;
  const over = load_match && !first?.holds && asked.gpus !== undefined;
  return {
    pick: asked.autoscale ? "autoscale" : load_match ? "load-match" : "default",
    best: first?.holds ? first : undefined,
    beyond_budget: over ? recommend(engine, { ...asked, gpus: undefined }).best : undefined,
    candidates: candidates.slice(0, candidates_max),
    reachable: lone,
  };
}

function loneRequest(engine: ProfiledEngine, demand: Demand) {
  const { ttft_ms } = prefillRate(engine.prompts, demand, noChunks(engine));
  const { itl_ms } = decodeAt(engine, demand, 1);
  return { ttft_ms, itl_ms };
}

/** The measured time to the first token is of the whole prompt, however it was cut. */
const noChunks = ({ limits }: ProfiledEngine) => ({ ...limits, max_batch_tokens: 0 });
const noLimit: Sla = { ttft_ms: Number.POSITIVE_INFINITY, itl_ms: Number.POSITIVE_INFINITY };

const passesOf = (engine: ProfiledEngine, demand: Demand) =>
  engine.passes(contextOf(demand), Math.max(1, computedTokens(demand)));

function decodeAt(engine: ProfiledEngine, demand: Demand, batch: number): EngineRate {
  return decodeRate(
    passesOf(engine, demand),
    demand,
    { ...engine.limits, max_seqs: batch },
    noLimit,
    0,
  );
}

function aggregatedAt(engine: ProfiledEngine, demand: Demand, batch: number): EngineRate {
  return aggregatedRate(
    passesOf(engine, demand),
    demand,
    { ...engine.limits, max_seqs: batch },
    noLimit,
  );
}

/** The smallest batch that does `per_s`, as far as `most` of them go. */
function batchFor(per_s: number, most: number, rateAt: (batch: number) => EngineRate): EngineRate {
  let low = 1;
  let high = Math.max(1, most);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rateAt(middle).requests_per_s >= per_s) high = middle;
    else low = middle + 1;
  }
  return rateAt(low);
}

// ---- One worker does all ----

function aggregatedOnes(engine: ProfiledEngine, asked: Asked): Candidate[] {
  if (asked.requests_per_s === undefined) {
    const most = Math.floor((asked.gpus ?? 0) / engine.gpus);
    return most < 1 ? [] : [aggregated(engine, asked, most)];
  }
  const per_worker = aggregatedCapacity(engine, asked);
  const needed = Math.max(1, Math.ceil(asked.requests_per_s / per_worker));
  // One too few shows what the last worker is for.
  return [needed - 1, needed, needed + 1]
    .filter((count) => count > 0)
    .map((count) => aggregated(engine, asked, count));
}

function aggregatedWithin(engine: ProfiledEngine, { demand, sla }: Asked): EngineRate {
  return aggregatedRate(passesOf(engine, demand), demand, engine.limits, sla);
}

function aggregated(engine: ProfiledEngine, asked: Asked, workers: number): Candidate {
  const capacity_per_s = workers * aggregatedCapacity(engine, asked);
  const load_per_s = (asked.requests_per_s ?? capacity_per_s) / workers;
  return candidate(engine, asked, {
    workers: { kind: "aggregated", workers },
    capacity_per_s,
    ...aggregatedUnder(engine, asked.demand, load_per_s),
  });
}

/** Requests a second at which one worker is within both limits; the planner's, where none is. */
function aggregatedCapacity(engine: ProfiledEngine, asked: Asked): number {
  const { requests_per_s, ttft_ms, itl_ms } = aggregatedWithin(engine, asked);
  const { sla, demand } = asked;
  if (ttft_ms > sla.ttft_ms || itl_ms > sla.itl_ms) return requests_per_s;
  return highestRate(
    requests_per_s,
    (per_s) => aggregatedUnder(engine, demand, per_s).ttft_ms <= sla.ttft_ms,
  );
}

/** At `per_s` a worker. Prompts come at random times, so that some wait for others. */
function aggregatedUnder(engine: ProfiledEngine, demand: Demand, per_s: number) {
  const { ttft_ms, itl_ms } = batchFor(per_s, engine.limits.max_seqs, (batch) =>
    aggregatedAt(engine, demand, batch),
  );
  const prompts = prefillRate(engine.prompts, demand, noChunks(engine));
  return { ttft_ms: ttft_ms + waitMs(prompts.ttft_ms, 1, per_s), itl_ms };
}

// ---- Prefill and decode apart ----

function disaggregatedOnes(engine: ProfiledEngine, asked: Asked): Candidate[] {
  if (asked.requests_per_s === undefined) {
    const most = Math.floor((asked.gpus ?? 0) / engine.gpus);
    return Array.from({ length: Math.max(0, most - 1) }, (_, i) =>
      disaggregated(engine, asked, i + 1, most - i - 1),
    );
  }
  const decode_per_s = decodeWithin(engine, asked).requests_per_s;
  const decode = Math.max(1, Math.ceil(asked.requests_per_s / decode_per_s));
  const prefill = prefillsFor(engine, asked, asked.requests_per_s);
  const pairs = [
    ...[[prefill, decode] as const, [prefill - 1, decode] as const],
    ...[[prefill, decode - 1] as const, [prefill + 1, decode] as const],
    [prefill, decode + 1] as const,
  ];
  return pairs
    .filter(([p, d]) => p > 0 && d > 0)
    .map(([p, d]) => disaggregated(engine, asked, p, d));
}

function decodeWithin(engine: ProfiledEngine, { demand, sla }: Asked): EngineRate {
  return decodeRate(passesOf(engine, demand), demand, engine.limits, sla, 0);
}

function prefillsFor(engine: ProfiledEngine, { demand, sla }: Asked, per_s: number): number {
  const { ttft_ms } = prefillRate(engine.prompts, demand, noChunks(engine));
  const least = Math.floor((per_s * ttft_ms) / 1000) + 1;
  // With this many the wait is next to nothing; a lone prompt that is too slow stays so.
  const enough = 2 * least + 8;
  for (let workers = least; workers < enough; workers++) {
    if (ttft_ms + waitMs(ttft_ms, workers, per_s) <= sla.ttft_ms) return workers;
  }
  return least;
}

function disaggregated(
  engine: ProfiledEngine,
  asked: Asked,
  prefill: number,
  decode: number,
): Candidate {
  const { demand, sla } = asked;
  const within = decodeWithin(engine, asked);
  const { ttft_ms } = prefillRate(engine.prompts, demand, noChunks(engine));
  const capacity_per_s = Math.min(
    decode * within.requests_per_s,
    prefillCapacity(ttft_ms, prefill, sla.ttft_ms),
  );
  const load_per_s = asked.requests_per_s ?? capacity_per_s;
  const now = batchFor(load_per_s / decode, engine.limits.max_seqs, (batch) =>
    decodeAt(engine, demand, batch),
  );
  return candidate(engine, asked, {
    workers: { kind: "disaggregated", prefill, decode },
    capacity_per_s,
    ttft_ms: ttft_ms + waitMs(ttft_ms, prefill, load_per_s),
    itl_ms: now.itl_ms,
  });
}

/** Requests a second at which a prompt and its wait are within `limit_ms`. */
function prefillCapacity(service_ms: number, workers: number, limit_ms: number): number {
  const all_busy_per_s = (1000 * workers) / service_ms;
  if (service_ms >= limit_ms) return all_busy_per_s;
  return highestRate(
    all_busy_per_s,
    (per_s) => service_ms + waitMs(service_ms, workers, per_s) <= limit_ms,
  );
}

/** By halving, up to `most`. */
function highestRate(most: number, holds: (per_s: number) => boolean): number {
  if (holds(most)) return most;
  let [low, high] = [0, most];
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * Mean wait for one of `workers` that take `service_ms` each, at random arrivals (M/D/c by
 * Sakasegawa 1977); Infinity when they cannot do them all.
 */
export function waitMs(service_ms: number, workers: number, per_s: number): number {
  const busy = (per_s * service_ms) / 1000 / workers;
  if (busy >= 1) return Number.POSITIVE_INFINITY;
  return (service_ms * busy ** (Math.sqrt(2 * (workers + 1)) - 1)) / (2 * workers * (1 - busy));
}

// ---- Both ----

function candidate(
  engine: ProfiledEngine,
  asked: Asked,
  found: Pick<Candidate, "workers" | "capacity_per_s" | "ttft_ms" | "itl_ms">,
): Candidate {
  const { workers, capacity_per_s, ttft_ms, itl_ms } = found;
  const count = workers.kind === "aggregated" ? workers.workers : workers.prefill + workers.decode;
  const gpus = count * engine.gpus;
  const load_per_s = asked.autoscale ? 0 : (asked.requests_per_s ?? 0);
  return {
    ...found,
    gpus,
    tokens_per_s_per_gpu: (capacity_per_s * asked.demand.osl) / gpus,
    holds:
      ttft_ms <= asked.sla.ttft_ms &&
      itl_ms <= asked.sla.itl_ms &&
      capacity_per_s >= load_per_s &&
      gpus <= (asked.gpus ?? gpus),
  };
}

export type FrontierPoint = {
  readonly kind: Workers["kind"];
  readonly batch: number;
  readonly tokens_per_s_per_gpu: number;
  readonly ttft_ms: number;
  readonly itl_ms: number;
};

/**
 * What a GPU makes at each batch: of workers that do all, and of prefill and decode workers in the
 * ratio in which both are busy. Those that another one beats in everything are left out.
 */
export function frontier(engine: ProfiledEngine, demand: Demand): readonly FrontierPoint[] {
  const prompts = prefillRate(engine.prompts, demand, noChunks(engine));
  const batches = countsBetween(1, engine.limits.max_seqs, 48);
  const points = batches.flatMap((batch): FrontierPoint[] => {
    const all = aggregatedAt(engine, demand, batch);
    const draws = decodeAt(engine, demand, batch);
    const workers_per_rate = 1 / prompts.requests_per_s + 1 / draws.requests_per_s;
    const rate = demand.osl / engine.gpus;
    return [
      {
        ...{ kind: "aggregated", batch, ttft_ms: all.ttft_ms, itl_ms: all.itl_ms },
        tokens_per_s_per_gpu: rate * all.requests_per_s,
      },
      {
        ...{ kind: "disaggregated", batch, ttft_ms: prompts.ttft_ms, itl_ms: draws.itl_ms },
        tokens_per_s_per_gpu: rate / workers_per_rate,
      },
    ];
  });
  return points.filter((one) => !points.some((other) => other !== one && beats(other, one)));
}

/** In nothing worse and in something better; of equals only the smaller batch stays. */
function beats(one: FrontierPoint, other: FrontierPoint): boolean {
  const differences = [
    one.tokens_per_s_per_gpu - other.tokens_per_s_per_gpu,
    other.ttft_ms - one.ttft_ms,
    other.itl_ms - one.itl_ms,
  ];
  if (differences.some((difference) => difference < 0)) return false;
  const equal = differences.every((difference) => difference === 0);
  return equal ? one.kind === other.kind && one.batch < other.batch : true;
}
