/**
 * The ARIMA model of a series, order and all, as pmdarima's `auto_arima` searches for it (Hyndman
 * and Khandakar, Automatic Time Series Forecasting, 2008): how often to take differences by the
 * KPSS test, then stepwise through orders, always on to a neighbour that is better by AIC.
 *
 * A search is plain data and goes on by a bounded amount of work at a time, so that it may take
 * several ticks of a planner and none of them waits for it.
 */
import { continued } from "./arma.ts";
import {
  type ArmaFit,
  type ArmaOrder,
  begunFit,
  continuedFit,
  type FittedArma,
  fitted,
} from "./arma-fit.ts";

const MOST_DIFFERENCES = 2;
/** Of lags on either side. */
const MOST_ORDER = 5;
const FIRST_ORDER = 2;
/** The 5 % point of the KPSS test of a level. */
const NOT_LEVEL = 0.463;
/** Steps of one model's search, as many as pmdarima allows, and of all models' together. */
const MOST_STEPS = 50;
const MOST_STEPS_IN_ALL = 120;
/** What the first guess of a model costs, in likelihoods. */
const GUESS_WORK = 10;

/** Plain data. */
export type ArimaModel = {
  readonly differences: number;
  readonly ar: readonly number[];
  readonly ma: readonly number[];
  /** Of the differences, or of the values where none are taken. */
  readonly mean: number;
};

/** From a few simple models on to neighbours of the best one, until none is better. */
export type OrderSearch = {
  readonly values: readonly number[];
  readonly differences: number;
  /** Of `models` below, the next to be tried. */
  readonly next: number;
  /** The orders whose neighbours are tried. */
  readonly around: ArmaOrder;
  /** Models that were tried, by their names. */
  readonly tried: readonly string[];
  readonly steps_left: number;
  /** Missing: none fits yet. */
  readonly best?: FittedArma;
  /** Of the model that is being tried. */
  readonly fit?: ArmaFit;
};

export type Searched = {
  readonly search: OrderSearch;
  readonly over: boolean;
  /** What was done, in likelihoods. */
  readonly work: number;
};

export function orderSearch(values: readonly number[]): OrderSearch {
  const differences = differencesOf(values);
  const first = values.length < 10 ? 1 : FIRST_ORDER;
  const order = Math.min(first, mostOf(values));
  const around = { p: order, q: order, with_mean: differences < 2 };
  return {
    ...{ values, differences, around, next: 0 },
    ...{ tried: [], steps_left: MOST_STEPS_IN_ALL },
  };
}

/** The search after about `most_work` likelihoods more. */
export function searchedOn(from: OrderSearch, most_work: number): Searched {
  const level = differenced(from.values, from.differences);
  if (areEqual(level)) return { search: from, over: true, work: 1 };
  let search = from;
  let work = 0;
  while (search.next < models.length) {
    if (work >= most_work) return { search, over: false, work };
    if (search.fit === undefined) {
      const order = untried(search);
      if (order === undefined) {
        search = judged(search, false);
        continue;
      }
      const tried = [...search.tried, nameOf(order)];
      search = { ...search, tried, fit: begunFit(level, order, search.differences > 0) };
      work += GUESS_WORK + 2 * (order.p + order.q);
    }
    const { fit, ...rest } = search;
    if (fit === undefined) continue;
    const most_steps = Math.min(MOST_STEPS, search.steps_left);
    const on = continuedFit(level, fit, most_steps, most_work - work);
    work += on.work;
    if (!on.over) return { search: { ...search, fit: on.fit }, over: false, work };
    // A model that needs no search costs something too.
    const steps_left = search.steps_left - 1 - on.fit.descent.steps;
    const found = fitted(level, on.fit);
    const better = found !== undefined && found.aic < (search.best?.aic ?? Infinity);
    search = better
      ? { ...judged({ ...rest, steps_left }, true, fit.order), best: found }
      : judged({ ...rest, steps_left }, false);
  }
  return { search, over: true, work };
}

/** The best model of a search that is over; undefined: none fits. */
export function foundModel({ values, differences, best }: OrderSearch): ArimaModel | undefined {
  const level = differenced(values, differences);
  if (areEqual(level)) return { differences, ar: [], ma: [], mean: level[0] ?? 0 };
  return best && { differences, ar: best.ar, ma: best.ma, mean: best.mean };
}

/** The `steps` values after the series. */
export function forecast(
  model: ArimaModel,
  series: readonly number[],
  steps: number,
): readonly number[] {
  let ahead = continued(model, differenced(series, model.differences), steps);
  for (let depth = model.differences - 1; depth >= 0; depth--) {
    let at = differenced(series, depth).at(-1) ?? 0;
    ahead = ahead.map((step) => {
      at += step;
      return at;
    });
  }
  return ahead;
}

function differenced(series: readonly number[], times: number): readonly number[] {
  if (times === 0) return series;
  const steps = series.slice(1).map((value, i) => value - series[i]!);
  return differenced(steps, times - 1);
}

function differencesOf(series: readonly number[]): number {
  let level = series;
  let times = 0;
  while (times < MOST_DIFFERENCES && wanders(level)) {
    level = differenced(level, 1);
    times += 1;
  }
  return times;
}

/** KPSS: sums of what is left of a level grow faster than those of noise would. */
function wanders(series: readonly number[]): boolean {
  const count = series.length;
  const mean = series.reduce((sum, value) => sum + value, 0) / count;
  const rest = series.map((value) => value - mean);
  let sum = 0;
  let sums_squared = 0;
  for (const value of rest) {
    sum += value;
    sums_squared += sum * sum;
  }
  const reach = Math.trunc(4 * (count / 100) ** 0.25);
  let variance = 0;
  for (let lag = 0; lag <= reach; lag++) {
    let product = 0;
    for (let at = lag; at < count; at++) product += rest[at]! * rest[at - lag]!;
    variance += lag === 0 ? product / count : (2 * (1 - lag / (reach + 1)) * product) / count;
  }
  return variance > 0 && sums_squared / count ** 2 / variance > NOT_LEVEL;
}

export const areEqual = (values: readonly number[]): boolean =>
  values.every((value) => value === values[0]);

const mostOf = (values: readonly number[]): number =>
  Math.min(MOST_ORDER, Math.floor(values.length / 3));

const nameOf = ({ p, q, with_mean }: ArmaOrder): string => `${p} ${q} ${with_mean}`;

type Model = (around: ArmaOrder) => ArmaOrder;
const by =
  (dp: number, dq: number): Model =>
  ({ p, q, with_mean }) => ({ p: p + dp, q: q + dq, with_mean });
const exactly =
  (p: number, q: number): Model =>
  ({ with_mean }) => ({ p, q, with_mean });

const firstModels: readonly Model[] = [
  ...[by(0, 0), exactly(0, 0), exactly(1, 0), exactly(0, 1)],
  () => ({ p: 0, q: 0, with_mean: false }),
];
const neighbours: readonly Model[] = [
  ...[by(-1, 0), by(0, -1), by(1, 0), by(0, 1)],
  ...[by(-1, -1), by(-1, 1), by(1, -1), by(1, 1)],
];
const models: readonly Model[] = [
  ...[...firstModels, ...neighbours],
  ({ p, q, with_mean }) => ({ p, q, with_mean: !with_mean }),
];

/** The next model; undefined: it was tried, or there is none. */
function untried(search: OrderSearch): ArmaOrder | undefined {
  const order = models[search.next]?.(search.around);
  if (order === undefined || search.steps_left <= 0) return undefined;
  const most = mostOf(search.values);
  if (order.p < 0 || order.q < 0 || order.p > most || order.q > most) return undefined;
  return search.tried.includes(nameOf(order)) ? undefined : order;
}

/** Where the search goes from the model just tried; `order`: the one that was better. */
function judged(search: OrderSearch, better: boolean, order = search.around): OrderSearch {
  const { next, around } = search;
  const first = next < firstModels.length;
  if (!better) return { ...search, next: next + 1 };
  // A first model without a mean does not keep its neighbours from having one.
  const with_mean = first ? around.with_mean : order.with_mean;
  return {
    ...search,
    around: { ...order, with_mean },
    next: first ? next + 1 : firstModels.length,
  };
}
