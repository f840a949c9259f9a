/**
 * The predict stage: requests, prompt lengths and answer lengths of the throughput interval to
 * come, each by its own predictor. Ticks may be shorter than that interval: what they bring is
 * gathered until one is full.
 *
 * Figures that are missing are not zero: an interval that nobody counted adds no value. An interval
 * without requests adds 0 to the series of requests and nothing to those of lengths.
 */
import type { PlannerConfig } from "../pipeline/config.ts";
import type { Prediction } from "../pipeline/decision.ts";
import type { Traffic } from "../pipeline/snapshot.ts";
import type { PredictStage } from "../pipeline/stages.ts";
import type { IntervalLoad } from "./interval-load.ts";
import type { Predictor, PredictorOptions } from "./predictor.ts";
import { type PredictorState, predictorFor } from "./predictor-for.ts";

/** Below this share of an interval that somebody counted, it counts as not seen. */
const ENOUGH_SEEN = 0.5;
/** Where the start-up time of workers is still to be learned, predictions reach this far. */
const ASSUMED_STARTUP_S = 120;
const MOST_STEPS = 60;
/** What one tick may spend on making a predictor better, in likelihoods of a model. */
const WORK_A_TICK = 100;

export const seriesNames = ["requests", "isl", "osl"] as const;
export type SeriesName = (typeof seriesNames)[number];

export type PredictMemory = {
  readonly part: Part;
  /** Missing: nothing was added yet. */
  readonly series: Readonly<Partial<Record<SeriesName, PredictorState>>>;
  /** The last valid ones; before any, 0 and 1: no discount. */
  readonly kv_hit_rate: number;
  readonly accept_length: number;
  /** The series that was made better last; missing: none was. */
  readonly turn?: SeriesName;
  /** Of the interval that runs; missing: none was made yet. */
  readonly prediction?: Prediction;
};

/** What the running throughput interval brought so far. */
type Part = {
  readonly elapsed_ms: number;
  /** Of it, what somebody counted. */
  readonly seen_ms: number;
  readonly started: number;
  readonly isl: Weighted;
  readonly osl: Weighted;
};

/** A mean of means: sum of value × weight, and of weights. */
type Weighted = { readonly sum: number; readonly weight: number };

const nothing: Weighted = { sum: 0, weight: 0 };
const emptyPart: Part = { elapsed_ms: 0, seen_ms: 0, started: 0, isl: nothing, osl: nothing };
const startMemory: PredictMemory = {
  ...{ part: emptyPart, series: {}, kv_hit_rate: 0, accept_length: 1 },
};

export const predictStage: PredictStage<PredictMemory> = {
  start: startMemory,
  predict({ config, snapshot, memory, startup_ms }) {
    const startup_s = startup_ms === undefined ? config.startup_seconds : startup_ms / 1000;
    const part = gathered(memory.part, snapshot.traffic, snapshot.interval_ms);
    const tokens = rates(memory, snapshot.traffic);
    const full = part.elapsed_ms + snapshot.interval_ms / 2 >= intervalMs(config);
    const predictor = predictorOf(config, startup_s);
    const longer = full ? grown(memory.series, predictor, loadOf(part, config)) : memory.series;
    const { series, turn } = better(longer, predictor, memory.turn);
    const known = full ? undefined : memory.prediction;
    const prediction = { ...(known ?? predicted(series, config, startup_s)), ...tokens };
    const rest = { part: full ? emptyPart : part, series, ...tokens, prediction, turn };
    return { result: prediction, memory: rest };
  },
};

/** The memory after a history, such as `loadsOf` a trace; for `load_predictor_warmup_trace`. */
export function warmedMemory(
  config: PlannerConfig,
  history: readonly IntervalLoad[],
): PredictMemory {
  const predictor = predictorOf(config, config.startup_seconds);
  const values = (name: SeriesName) =>
    history.flatMap((load) => (load[name] === undefined ? [] : [load[name]]));
  const series = {
    requests: predictor.warm(values("requests")),
    isl: predictor.warm(values("isl")),
    osl: predictor.warm(values("osl")),
  };
  return { ...startMemory, series, prediction: predicted(series, config, config.startup_seconds) };
}

/** How many throughput intervals ahead a worker that starts now begins to serve; from 1 on. */
export function servingStep(config: PlannerConfig, startup_s = config.startup_seconds): number {
  const intervals = Math.floor(startup_s / config.throughput_adjustment_interval_seconds);
  return Math.max(1, Math.min(MOST_STEPS, intervals + 1));
}

const intervalMs = (config: PlannerConfig): number =>
  config.throughput_adjustment_interval_seconds * 1000;

/** `startup_s`: as configured or learned; 0: unknown. */
function predictorOf(config: PlannerConfig, startup_s: number): Predictor<PredictorState> {
  const options: PredictorOptions = {
    interval_ms: intervalMs(config),
    log1p: config.load_predictor_log1p,
    horizon: servingStep(config, startup_s),
  };
  return predictorFor(config.load_predictor, options);
}

function gathered(part: Part, traffic: Traffic | undefined, interval_ms: number): Part {
  const elapsed_ms = part.elapsed_ms + interval_ms;
  if (traffic === undefined) return { ...part, elapsed_ms };
  return {
    elapsed_ms,
    seen_ms: part.seen_ms + interval_ms,
    started: part.started + traffic.started,
    isl: weighed(part.isl, traffic.isl, traffic.started || traffic.ended),
    osl: weighed(part.osl, traffic.osl, traffic.ended || traffic.started),
  };
}

function weighed(before: Weighted, value: number | undefined, requests: number): Weighted {
  if (!isValid(value) || requests <= 0) return before;
  return { sum: before.sum + value * requests, weight: before.weight + requests };
}

const meanOf = ({ sum, weight }: Weighted): number | undefined =>
  weight > 0 ? sum / weight : undefined;

/** Requests are scaled to a whole interval where it was a little longer, or seen in part. */
function loadOf(part: Part, config: PlannerConfig): IntervalLoad {
  const seen = part.seen_ms > 0 && part.seen_ms >= ENOUGH_SEEN * part.elapsed_ms;
  return {
    requests: seen ? (part.started * intervalMs(config)) / part.seen_ms : undefined,
    isl: meanOf(part.isl),
    osl: meanOf(part.osl),
  };
}

function grown(
  series: PredictMemory["series"],
  predictor: Predictor<PredictorState>,
  load: IntervalLoad,
): PredictMemory["series"] {
  const states = { ...series };
  for (const name of seriesNames) {
    const value = load[name];
    if (value !== undefined) states[name] = predictor.add(states[name] ?? predictor.start, value);
  }
  return states;
}

/** Each tick makes one series better; the others wait for their turn. */
function better(
  series: PredictMemory["series"],
  predictor: Predictor<PredictorState>,
  turn: SeriesName = "osl",
): { readonly series: PredictMemory["series"]; readonly turn: SeriesName } {
  const after = seriesNames.indexOf(turn) + 1;
  for (const name of [...seriesNames.slice(after), ...seriesNames.slice(0, after)]) {
    const state = series[name];
    const next = state && predictor.refine?.(state, WORK_A_TICK);
    if (next === undefined || next === state) continue;
    return { series: { ...series, [name]: next }, turn: name };
  }
  return { series, turn };
}

function predicted(
  series: PredictMemory["series"],
  config: PlannerConfig,
  startup_s: number,
): Prediction {
  const predictor = predictorOf(config, startup_s);
  const serving = servingStep(config, startup_s || ASSUMED_STARTUP_S);
  const rows = (name: SeriesName) => {
    const state = series[name];
    return state && predictor.next(state, serving);
  };
  const interval_ms = intervalMs(config);
  try {
    const next = { requests: rows("requests"), isl: rows("isl"), osl: rows("osl") };
    const steps = Array.from({ length: serving }, (_, i) => ({
      requests: next.requests?.[i],
      isl: next.isl?.[i],
      osl: next.osl?.[i],
    }));
    const first = steps[0] ?? unknown;
    return { ...first, interval_ms, steps };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ...unknown, interval_ms, failure: { code: "predict_failed", why } };
  }
}

const unknown = { requests: undefined, isl: undefined, osl: undefined };

const isValid = (value: number | undefined): value is number =>
  value !== undefined && Number.isFinite(value) && value >= 0;

function rates(memory: PredictMemory, traffic: Traffic | undefined) {
  const hit_rate = traffic?.kv_hit_rate;
  const length = traffic?.accept_length;
  return {
    kv_hit_rate: isValid(hit_rate) ? Math.min(1, hit_rate) : memory.kv_hit_rate,
    accept_length: isValid(length) && length >= 1 ? length : memory.accept_length,
  };
}
