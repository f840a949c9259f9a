/** A replay as one self-contained page: figures, and plots as inline SVG. Nothing is loaded. */
import { heading, page, paragraph, table } from "../../../runtime/observe/html/html-page.ts";
import { linePlot, type Series } from "../../../runtime/observe/html/line-plot.ts";
import { e2eOf, type ReplayReport, ttftOf } from "./report.ts";
import type { ReplayResult, RequestRecord } from "./simulate.ts";

type Points = Series["points"];

/** Of a cumulative line. */
const POINTS = 200;

export function htmlReport(title: string, report: ReplayReport, result: ReplayResult): string {
  const done = result.records.filter((record) => !Number.isNaN(record.end_ms));
  return page(`Replay: ${title}`, [
    paragraph(
      `${report.requests} requests, ${report.refused} refused, ` +
        `${(report.duration_ms / 1_000).toFixed(0)} s of virtual time. ` +
        `Prefix reuse ${report.prefix_reuse}, ${report.output_tokens_per_s} tokens/s.`,
    ),
    spreads(report),
    linePlot({
      ...{ title: "Share of the requests answered within", x: "ms", y: "share" },
      logarithmic_x: true,
      series: [
        { name: "first token", points: cumulative(done.map(ttftOf)) },
        { name: "whole answer", points: cumulative(done.map(e2eOf)) },
      ],
    }),
    linePlot({
      ...{ title: "Over time", x: "s", y: "ms, mean" },
      series: [
        { name: "first token", points: overTime(done, ttftOf) },
        {
          name: "of it in the router",
          points: overTime(done, (each) => each.routed_ms - each.arrival_ms),
        },
      ],
    }),
    linePlot({
      ...{ title: "Prompt tokens found in a cache", x: "s", y: "share" },
      series: [{ name: "reuse", points: reuseOverTime(done) }],
    }),
    heading("Workers"),
    workers(report),
  ]);
}

function spreads(report: ReplayReport): string {
  const row = (name: string, { mean, p50, p90, p99 }: ReplayReport["ttft_ms"]) => [
    name,
    ...[mean, p50, p90, p99].map(String),
  ];
  return table(
    ["ms", "mean", "p50", "p90", "p99"],
    [
      row("first token", report.ttft_ms),
      row("between tokens", report.itl_ms),
      row("whole answer", report.e2e_ms),
      row("in the router", report.queued_ms),
    ],
  );
}

function workers(report: ReplayReport): string {
  const rows = report.per_worker.map(
    ({ requests, prefix_reuse, generated_tokens, busy, preemptions }, number) =>
      [number, requests, prefix_reuse, generated_tokens, busy, preemptions].map(String),
  );
  return table(["worker", "requests", "reuse", "tokens", "busy", "preemptions"], rows);
}

/** Which share of the samples is at most as large as each. */
function cumulative(samples: number[]): Points {
  samples.sort((a, b) => a - b);
  const points: { x: number; y: number }[] = [];
  for (let i = 0; i <= POINTS && samples.length > 0; i++) {
    const at = Math.min(samples.length - 1, Math.floor((i / POINTS) * samples.length));
    points.push({ x: Math.max(1, samples[at]!), y: i / POINTS });
  }
  return points;
}

function overTime(records: readonly RequestRecord[], of: (record: RequestRecord) => number) {
  return binned(records, (bin) => bin.reduce((sum, record) => sum + of(record), 0) / bin.length);
}

function reuseOverTime(records: readonly RequestRecord[]): Points {
  return binned(records, (bin) => {
    const cached = bin.reduce((sum, record) => sum + record.cached_tokens, 0);
    return cached / bin.reduce((sum, record) => sum + record.input_length, 0);
  });
}

function binned(
  records: readonly RequestRecord[],
  figure: (bin: readonly RequestRecord[]) => number,
): Points {
  const bins = new Map<number, RequestRecord[]>();
  const last_ms = records.reduce((most, record) => Math.max(most, record.arrival_ms), 1);
  const width_ms = last_ms / 60;
  for (const record of records) {
    const number = Math.floor(record.arrival_ms / width_ms);
    const bin = bins.get(number);
    if (bin === undefined) bins.set(number, [record]);
    else bin.push(record);
  }
  return [...bins]
    .sort(([a], [b]) => a - b)
    .map(([number, bin]) => ({ x: ((number + 0.5) * width_ms) / 1_000, y: figure(bin) }));
}
