/** Numbers between bounds, as grammars of their digits. */

import { type Expression, either, literal, NOTHING, row, times } from "./rules.ts";
import type { NumberShape } from "./shape.ts";

/** Digits before the point of a number without a bound: doubles hold as many. */
const WHOLE_DIGITS = 15;
const FRACTION_DIGITS = 15;
const LARGEST = 10 ** WHOLE_DIGITS - 1;
/** Digits behind the point that a bound is read with. */
const BOUND_DIGITS = 6;
const DIGIT = "[0-9]";

const FRACTION = `"." ${times(DIGIT, 1, FRACTION_DIGITS)}`;
const EXPONENT = `[eE] [+\\u002d]? ${times(DIGIT, 1, 2)}`;
const POSITIVE = `[1-9] ${times(DIGIT, 0, WHOLE_DIGITS - 1)}`;
/** No model means −0. */
const WHOLE = `("0" | "-"? ${POSITIVE})`;
const DECIMAL = `"-"? ("0" | ${POSITIVE}) (${FRACTION})? (${EXPONENT})?`;

/** Undefined: no number fits. */
export function numberRules(shape: NumberShape): Expression | undefined {
  const { min, max, above, below, whole } = shape;
  const free = [min, max, above, below].every((bound) => bound === undefined);
  if (free) return whole ? WHOLE : DECIMAL;
  if (whole) return wholeBetween(...wholeBounds(shape));
  const scale = 10 ** BOUND_DIGITS;
  const low = lowest(scaled(min, scale, Math.ceil), scaled(above, scale, Math.floor), 1);
  const high = highest(scaled(max, scale, Math.floor), scaled(below, scale, Math.ceil), 1);
  return decimalBetween(low, high);
}

/** The least and the largest whole number. */
export const wholeBounds = ({ min, max, above, below }: NumberShape) =>
  [lowest(min, above, 1), highest(max, below, 1)] as const;

/** In units of the last digit; a bound with more digits than that is narrowed. */
function scaled(
  bound: number | undefined,
  scale: number,
  round: (value: number) => number,
): number | undefined {
  if (bound === undefined) return undefined;
  const units = clamp(bound, LARGEST / scale) * scale;
  // 128.02 × 10⁶ is 128020000.00000001.
  return Number(bound.toFixed(BOUND_DIGITS)) === bound ? Math.round(units) : round(units);
}

const clamp = (value: number, most: number): number => Math.max(-most, Math.min(most, value));

function lowest(min: number | undefined, above: number | undefined, step: number): number {
  const bounds = [min === undefined ? -LARGEST : Math.ceil(min)];
  if (above !== undefined) bounds.push(Math.floor(above) + step);
  return Math.max(-LARGEST, ...bounds);
}

function highest(max: number | undefined, below: number | undefined, step: number): number {
  const bounds = [max === undefined ? LARGEST : Math.floor(max)];
  if (below !== undefined) bounds.push(Math.ceil(below) - step);
  return Math.min(LARGEST, ...bounds);
}

function wholeBetween(low: number, high: number): Expression | undefined {
  if (low > high) return undefined;
  const parts: Expression[] = [];
  if (low < 0) parts.push(row('"-"', digitsBetween(Math.max(1, -high), -low)));
  if (high >= 0) parts.push(digitsBetween(Math.max(0, low), high));
  return either(parts);
}

/** The least and the largest numbers of each width, 0 ≤ low ≤ high. */
export function digitsOfWidths(low: number, high: number): (readonly [string, string])[] {
  const ranges: (readonly [string, string])[] = [];
  for (let width = String(low).length; width <= String(high).length; width++) {
    const from = Math.max(low, width === 1 ? 0 : 10 ** (width - 1));
    const to = Math.min(high, 10 ** width - 1);
    if (from <= to) ranges.push([String(from), String(to)]);
  }
  return ranges;
}

/** Numbers without a leading zero, 0 ≤ low ≤ high. */
function digitsBetween(low: number, high: number): Expression {
  const parts: Expression[] = [];
  // Widths of which all numbers fit are one part: xgrammar 0.1.27 mixes up many that are alike.
  let widest = 0;
  let narrowest = 0;
  const longest = String(high).length;
  for (let width = String(low).length; width <= longest; width++) {
    const least = width === 1 ? 0 : 10 ** (width - 1);
    const from = Math.max(low, least);
    const to = Math.min(high, 10 ** width - 1);
    if (width > 1 && from === least && to === 10 ** width - 1) {
      narrowest ||= width;
      widest = width;
    } else if (from <= to) parts.push(digitRow(String(from), String(to), width, width));
  }
  if (widest > 0) parts.push(row("[1-9]", times(DIGIT, narrowest - 1, widest - 1)));
  return either(parts);
}

/**
 * Digits between two rows of digits of one width, the common ones first.
 * @param shortest so many digits have to be there; what is missing stands for zeros
 */
function digitRow(
  low: string | undefined,
  high: string | undefined,
  left: number,
  shortest: number,
): Expression {
  if (low === undefined && high === undefined) return times(DIGIT, Math.max(0, shortest), left);
  const choices: Expression[] = [];
  const mayEnd = shortest <= 0 && (low === undefined || /^0*$/.test(low));
  if (mayEnd) choices.push(NOTHING);
  if (left === 0) return NOTHING;
  const a = low === undefined ? 0 : Number(low[0]);
  const b = high === undefined ? 9 : Number(high[0]);
  const [low_tail, high_tail] = [low?.slice(1), high?.slice(1)];
  const next = (from: string | undefined, to: string | undefined): Expression =>
    digitRow(from, to, left - 1, shortest - 1);
  if (a === b && low !== undefined && high !== undefined) {
    choices.push(row(literal(String(a)), next(low_tail, high_tail)));
    return either(choices);
  }
  if (low !== undefined) choices.push(row(literal(String(a)), next(low_tail, undefined)));
  const from = low === undefined ? a : a + 1;
  const to = high === undefined ? b : b - 1;
  if (from <= to) {
    choices.push(
      row(from === to ? literal(String(from)) : `[${from}-${to}]`, next(undefined, undefined)),
    );
  }
  if (high !== undefined) choices.push(row(literal(String(b)), next(undefined, high_tail)));
  return either(choices);
}

/** Numbers with up to `BOUND_DIGITS` digits behind the point; bounds in units of the last one. */
function decimalBetween(low: number, high: number): Expression | undefined {
  if (low > high) return undefined;
  const parts: Expression[] = [];
  if (low < 0) parts.push(row('"-"', positiveDecimals(Math.max(1, -high), -low)));
  if (high >= 0) parts.push(positiveDecimals(Math.max(0, low), high));
  return either(parts);
}

function positiveDecimals(low: number, high: number): Expression {
  const scale = 10 ** BOUND_DIGITS;
  const first = Math.floor(low / scale);
  const last = Math.floor(high / scale);
  const low_rest = low - first * scale;
  const high_rest = high - last * scale;
  if (first === last) return row(literal(String(first)), fractions(low_rest, high_rest));
  const parts: Expression[] = [];
  if (low_rest > 0) parts.push(row(literal(String(first)), fractions(low_rest, scale - 1)));
  const from = low_rest > 0 ? first + 1 : first;
  if (from <= last - 1) {
    const any = `("." ${times(DIGIT, 1, BOUND_DIGITS)})?`;
    parts.push(row(digitsBetween(from, last - 1), any));
  }
  parts.push(row(literal(String(last)), fractions(0, high_rest)));
  return either(parts);
}

/** What may stand behind a whole part: digits that, filled up with zeros, lie between the two. */
function fractions(low: number, high: number): Expression {
  const pad = (value: number) => String(value).padStart(BOUND_DIGITS, "0");
  const digits = row('"."', digitRow(pad(low), pad(high), BOUND_DIGITS, 1));
  return low === 0 ? either([NOTHING, digits]) : digits;
}
