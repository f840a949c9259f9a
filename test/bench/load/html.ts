/** The report of one load run as one HTML file. */
import { page, preformatted, table } from "../../../runtime/observe/html/html-page.ts";
import { linePlot, type Series } from "../../../runtime/observe/html/line-plot.ts";
import type { LoadPlan } from "./plan.ts";
import type { LoadRecord, LoadResult } from "./run-load.ts";
import { type LoadSummary, type Spread, spread } from "./summary.ts";
import { describe, loadTable, shown } from "./table.ts";

/** Most slices of time in a plot. */
const most_slices = 120;

export function htmlReport(plan: LoadPlan, result: LoadResult, summary: LoadSummary): string {
  const slices = sliced(result.records, result.wall_ms);
  const over = (name: string, of: (slice: Slice) => number): Series => ({
    name,
    points: slices.map((slice) => ({ x: slice.at_s, y: of(slice) })),
  });
  const latency = (name: "ttft_ms" | "e2e_ms") =>
    (["p50", "p90", "p99"] as const).map((q) => over(q, (slice) => slice[name][q]));
  return page(`Load on ${plan.model}`, [
    `<p>${describe(plan).replace(/[&<]/g, " ")}</p>`,
    spreads(summary),
    linePlot({
      title: "Requests",
      x: "s since the start",
      y: "a second",
      series: [
        over("due", (slice) => slice.due_per_s),
        over("ended", (slice) => slice.ended_per_s),
        over("failed", (slice) => slice.failed_per_s),
      ],
    }),
    linePlot({
      title: "Tokens",
      x: "s since the start",
      y: "a second",
      series: [over("tokens", (slice) => slice.tokens_per_s)],
    }),
    linePlot({
      title: "First token, by the time a request was due",
      x: "s since the start",
      y: "ms",
      logarithmic: true,
      series: latency("ttft_ms"),
    }),
    linePlot({
      title: "Whole answer, by the time a request was due",
      x: "s since the start",
      y: "ms",
      logarithmic: true,
      series: latency("e2e_ms"),
    }),
    linePlot({
      title: "How many waited longer",
      x: "share of requests, %",
      y: "ms",
      logarithmic: true,
      series: [
        distribution("first token", result.records, (record) => record.ttft_ms),
        distribution("whole", result.records, (record) => record.e2e_ms),
      ],
    }),
    preformatted(loadTable(plan, summary)),
    preformatted(JSON.stringify(summary, undefined, 1)),
  ]);
}

function spreads(summary: LoadSummary): string {
  const row = (name: string, { mean, p50, p90, p99, max }: Spread) => [
    name,
    ...[mean, p50, p90, p99, max].map(shown),
  ];
  return table(
    ["ms", "mean", "p50", "p90", "p99", "max"],
    [
      row("first token", summary.ttft_ms),
      row("between tokens", summary.itl_ms),
      row("whole answer", summary.e2e_ms),
    ],
  );
}

type Slice = {
  readonly at_s: number;
  readonly due_per_s: number;
  readonly ended_per_s: number;
  readonly failed_per_s: number;
  readonly tokens_per_s: number;
  readonly ttft_ms: Spread;
  readonly e2e_ms: Spread;
};

/** The run in slices of at least a second. */
function sliced(records: readonly LoadRecord[], wall_ms: number): Slice[] {
  const slice_ms = Math.max(1000, wall_ms / most_slices);
  const count = Math.max(1, Math.floor(wall_ms / slice_ms));
  const due: LoadRecord[][] = Array.from({ length: count }, () => []);
  const ended: LoadRecord[][] = Array.from({ length: count }, () => []);
  const sliceOf = (at_ms: number) => Math.min(count - 1, Math.max(0, Math.floor(at_ms / slice_ms)));
  for (const record of records) {
    due[sliceOf(record.due_ms)]?.push(record);
    ended[sliceOf(record.due_ms + record.e2e_ms)]?.push(record);
  }
  return due.map((begun, i) => {
    const over = ended[i] ?? [];
    const good = begun.filter((record) => record.error === "");
    // The last slice takes what is left, so it is longer than the others.
    const seconds = (i === count - 1 ? wall_ms - i * slice_ms : slice_ms) / 1000;
    return {
      at_s: (i * slice_ms) / 1000,
      due_per_s: begun.length / seconds,
      ended_per_s: over.length / seconds,
      failed_per_s: over.filter((record) => record.error !== "").length / seconds,
      tokens_per_s: over.reduce((sum, record) => sum + record.tokens, 0) / seconds,
      ttft_ms: spread(good.filter((r) => r.ttft_ms >= 0).map((record) => record.ttft_ms)),
      e2e_ms: spread(good.map((record) => record.e2e_ms)),
    };
  });
}

function distribution(
  name: string,
  records: readonly LoadRecord[],
  of: (record: LoadRecord) => number,
): Series {
  const values = records.filter((r) => r.error === "").map(of);
  values.sort((a, b) => b - a);
  const steps = Math.min(200, values.length);
  return {
    name,
    points: Array.from({ length: steps }, (_, i) => ({
      x: (100 * i) / steps,
      y: values[Math.floor((i * values.length) / steps)] ?? Number.NaN,
    })),
  };
}
