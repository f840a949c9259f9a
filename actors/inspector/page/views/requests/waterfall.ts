/**
 * Spans of a request → bars of its waterfall. Pure: times in, shares of the width out.
 *
 *   request   ▆validate ▆template ▆tokenize ▆route ▆queue
 *   answer 0                                       ▆▆prefill ▆▆▆▆▆decode ┆migration ▆▆▆decode
 *   answer 1                                       ▆▆▆prefill ▆▆▆▆decode
 *
 * A lane has as many rows as spans of it lie over one another: what is inside of another span is
 * below it. Spans that are inside of no other one add up to the request's latency.
 */
import type { Span } from "./request-row.ts";

export type Bar = {
  readonly span: Span;
  /** Shares of the whole, 0–1. */
  readonly left: number;
  readonly width: number;
  readonly row: number;
  readonly took_ms: number;
  readonly open: boolean;
};

export type Lane = {
  /** undefined: what all answers of the request have in common. */
  readonly choice: number | undefined;
  readonly bars: readonly Bar[];
  readonly rows: number;
};

export type Waterfall = {
  readonly total_ms: number;
  readonly lanes: readonly Lane[];
  /** Where a line with a time belongs. */
  readonly ticks: readonly { readonly at_ms: number; readonly left: number }[];
  /** Top-level spans of the lane in common and of the longest answer, together. */
  readonly sum_ms: number;
};

/** Lanes that are drawn; the summary says how many there are. */
export const LANES_LIMIT = 32;

/** `now_ms`: how long the request has taken so far, or took; open spans end there. */
export function waterfall(spans: readonly Span[], now_ms: number): Waterfall {
  const ends = spans.map(({ start_ms, end_ms }) => end_ms ?? Math.max(start_ms, now_ms));
  const total_ms = Math.max(now_ms, ...ends, 0.001);
  const choices = new Map<number | undefined, Span[]>();
  for (const span of spans) {
    const choice = laneOfSpan(span, spans);
    const lane = choices.get(choice);
    if (lane === undefined) choices.set(choice, [span]);
    else lane.push(span);
  }
  const lanes = [...choices]
    .sort(([a = -1], [b = -1]) => a - b)
    .map(([choice, own]) => laneOf(choice, own, now_ms, total_ms));
  return { total_ms, lanes, ticks: ticksOf(total_ms), sum_ms: sumOf(lanes) };
}

/** A part of a span stands below it, also where it is told for all answers together. */
function laneOfSpan(span: Span, spans: readonly Span[]): number | undefined {
  if (typeof span.choice === "number" || !span.inside) return span.choice ?? undefined;
  return spans.find(({ name }) => name === span.inside)?.choice ?? undefined;
}

function laneOf(
  choice: number | undefined,
  spans: readonly Span[],
  now_ms: number,
  total_ms: number,
): Lane {
  const endOf = ({ start_ms, end_ms }: Span) => end_ms ?? Math.max(start_ms, now_ms);
  const ordered = spans.toSorted((a, b) => a.start_ms - b.start_ms || endOf(b) - endOf(a));
  const row_ends: number[] = [];
  const bars = ordered.map((span): Bar => {
    const end_ms = endOf(span);
    // The top row is for what adds up.
    const first = span.inside ? 1 : 0;
    if (first === 1) row_ends[0] ??= 0;
    const free = row_ends.findIndex(
      (row_end_ms, at) => at >= first && row_end_ms <= span.start_ms + ROUNDING_MS,
    );
    const row = free < 0 ? row_ends.length : free;
    row_ends[row] = end_ms;
    const took_ms = Math.max(0, end_ms - span.start_ms);
    return {
      ...{ span, row, took_ms, open: span.end_ms === null },
      left: clamped(span.start_ms / total_ms),
      width: clamped(took_ms / total_ms),
    };
  });
  return { choice, bars, rows: Math.max(1, row_ends.length) };
}

/** Spans that follow one another may share the last digits of a time. */
const ROUNDING_MS = 0.01;
const clamped = (share: number): number => Math.min(1, Math.max(0, share));

function sumOf(lanes: readonly Lane[]): number {
  const top = (lane: Lane) =>
    lane.bars.reduce((sum, { span, took_ms }) => sum + (span.inside ? 0 : took_ms), 0);
  const common = lanes.filter(({ choice }) => choice === undefined);
  const answers = lanes.filter(({ choice }) => choice !== undefined);
  const shared_ms = common.reduce((sum, lane) => sum + top(lane), 0);
  return shared_ms + Math.max(0, ...answers.map(top));
}

const TICKS = 5;

/** At round times: 1, 2 or 5 times a power of ten. */
function ticksOf(total_ms: number): Waterfall["ticks"] {
  const rough = total_ms / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step_ms = power * (([1, 2, 5, 10] as const).find((each) => each * power >= rough) ?? 10);
  const count = Math.floor(total_ms / step_ms + 1e-9);
  return Array.from({ length: count + 1 }, (_, at) => ({
    at_ms: at * step_ms,
    left: clamped((at * step_ms) / total_ms),
  }));
}

/** Those that say that something went another way than planned. */
export const isMark = ({ name }: Span): boolean => name === "migration" || name === "resume";

/** One line a span, for who does not see the picture. */
export function spanLine({ span, took_ms, open }: Bar, ms: (value: number) => string): string {
  const { name, start_ms, node, choice } = span;
  const whose = choice === undefined || choice === null ? "" : ` of answer ${choice}`;
  const where = node ? ` at ${node}` : "";
  const length = open ? `open for ${ms(took_ms)}` : `took ${ms(took_ms)}`;
  return `${name}${whose}${where}: from ${ms(start_ms)}, ${length}`;
}
