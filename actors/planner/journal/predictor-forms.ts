/** The form of what a predictor keeps of a series, checked when it is read from a journal. */
import { z } from "zod";
import type { ArimaState } from "../predict/arima.ts";
import type { ArimaModel, OrderSearch } from "../predict/arima-order.ts";
import { likelihood } from "../predict/arma.ts";
import type { ArmaFit, ArmaOrder } from "../predict/arma-fit.ts";
import type { AutoState } from "../predict/auto.ts";
import type { ConstantState } from "../predict/constant.ts";
import type { KalmanState } from "../predict/kalman.ts";
import { predictorNames } from "../predict/predictor.ts";
import type { PredictorState } from "../predict/predictor-for.ts";
import type { ProphetState } from "../predict/prophet.ts";
import type { Series } from "../predict/series.ts";
import { number } from "./forms.ts";

const whole = z.int().min(0);
const numbers = z.array(number);
const series: z.ZodType<Series> = z.object({ values: numbers, awake: z.boolean() });

const constant: z.ZodType<ConstantState> = z.object({ kind: z.literal("constant"), series });
const prophet: z.ZodType<ProphetState> = z.object({ kind: z.literal("prophet"), series });

const kalman: z.ZodType<KalmanState> = z.object({
  ...{ kind: z.literal("kalman"), series, count: whole },
  filter: z
    .object({
      ...{ level: number, trend: number, level_variance: number },
      ...{ covariance: number, trend_variance: number },
    })
    .optional(),
});

const model: z.ZodType<ArimaModel> = z
  .object({ differences: whole.max(2), ar: numbers, ma: numbers, mean: number })
  // Nothing can be predicted by a process that is not stationary.
  .refine(({ ar, ma }) => likelihood(ar, ma, [1, 2], false) !== undefined);
const order: z.ZodType<ArmaOrder> = z.object({ p: whole, q: whole, with_mean: z.boolean() });

/** A wall is infinite, which JSON writes as null. */
const height = number.or(z.null().transform(() => Number.POSITIVE_INFINITY));
const fit: z.ZodType<ArmaFit> = z
  .object({
    ...{ order, differenced: z.boolean() },
    descent: z.object({
      ...{ at: numbers, value: height, slope: numbers, inverse: z.array(numbers) },
      ...{ steps: whole, over: z.boolean() },
    }),
  })
  .refine(({ order: { p, q }, descent: { at, slope, inverse, over } }) => {
    const rows = [slope, ...inverse];
    const fits = over || (inverse.length === at.length && rows.every((row) => isAsLong(row, at)));
    return at.length === p + q && fits;
  });

const isAsLong = (row: readonly unknown[], as: readonly unknown[]): boolean =>
  row.length === as.length;

const search: z.ZodType<OrderSearch> = z.object({
  ...{ values: numbers, differences: whole.max(2), next: whole, around: order },
  ...{ tried: z.array(z.string()), steps_left: z.int() },
  best: z.object({ ar: numbers, ma: numbers, mean: number, aic: number }).optional(),
  fit: fit.optional(),
});

const arima: z.ZodType<ArimaState> = z.object({
  ...{ kind: z.literal("arima"), series, until_choice: z.int() },
  chosen: z.object({ model, log1p: z.boolean() }).optional(),
  due: z.literal(true).optional(),
  choosing: z.object({ log1p: z.boolean(), search, raw: model.optional() }).optional(),
});

type Single = ConstantState | KalmanState | ArimaState | ProphetState;
const single: z.ZodType<Single> = z.union([constant, kalman, arima, prophet]);

const auto: z.ZodType<AutoState<Single>> = z.object({
  ...{ kind: z.literal("auto"), series, horizon: z.int().min(1) },
  chosen: z.enum(predictorNames),
  tried: z
    .array(
      z.object({
        ...{ name: z.enum(predictorNames), state: single, error: number, weight: number },
        pending: numbers,
      }),
    )
    .min(1),
});

export const predictorForm: z.ZodType<PredictorState> = z.union([single, auto]);
