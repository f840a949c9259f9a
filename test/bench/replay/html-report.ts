/** A replay as one self-contained page: figures, and plots as inline SVG. Nothing is loaded. */
import { e2eOf, type ReplayReport, ttftOf } from "./report.ts";
import type { ReplayResult, RequestRecord } from "./simulate.ts";

const WIDTH = 720;
const HEIGHT = 220;
const MARGIN = { left: 64, right: 12, top: 12, bottom: 34 };
const POINTS = 200;

type Line = { readonly name: string; readonly points: readonly (readonly [number, number])[] };
type Plot = {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly lines: readonly Line[];
};

export function htmlReport(title: string, report: ReplayReport, result: ReplayResult): string {
  const done = result.records.filter((record) => record.refused === undefined);
  const plots: readonly Plot[] = [
    {
      title: "Share of the requests answered within",
      x: "ms (log)",
      y: "share",
      lines: [
        { name: "first token", points: cumulative(done.map(ttftOf)) },
        { name: "whole answer", points: cumulative(done.map(e2eOf)) },
      ],
    },
    {
      title: "Over time",
      x: "s",
      y: "ms, mean",
      lines: [
        { name: "first token", points: overTime(done, ttftOf) },
        {
          name: "of it in the router",
          points: overTime(done, (each) => each.routed_ms - each.arrival_ms),
        },
      ],
    },
    {
      title: "Prompt tokens found in a cache",
      x: "s",
      y: "share",
      lines: [{ name: "reuse", points: reuseOverTime(done) }],
    },
  ];
  return `<!doctype html><meta charset="utf-8"><title>Replay: ${escaped(title)}</title>
<style>body{font:14px system-ui;margin:2em auto;max-width:760px;color:#222}table{border-collapse:
collapse}td,th{padding:2px 10px;text-align:right;border-bottom:1px solid #ddd}svg{display:block}
td:first-child,th:first-child{text-align:left}</style>
<h1>Replay: ${escaped(title)}</h1>
<p>${report.requests} requests, ${report.refused} refused, ${(report.duration_ms / 1_000).toFixed(0)} s of
virtual time. Prefix reuse ${report.prefix_reuse}, ${report.output_tokens_per_s} tokens/s.</p>
${spreads(report)}${plots.map(drawn).join("\n")}${workers(report)}\n`;
}

function spreads(report: ReplayReport): string {
  const row = (name: string, { mean, p50, p90, p99 }: ReplayReport["ttft_ms"]) =>
    `<tr><td>${name}<td>${mean}<td>${p50}<td>${p90}<td>${p99}</tr>`;
  return `<table><tr><th>ms<th>mean<th>p50<th>p90<th>p99</tr>${row("first token", report.ttft_ms)}
${row("between tokens", report.itl_ms)}${row("whole answer", report.e2e_ms)}
${row("in the router", report.queued_ms)}</table>`;
}

function workers(report: ReplayReport): string {
  const rows = report.per_worker.map(
    ({ requests, prefix_reuse, generated_tokens, busy, preemptions }, number) =>
      `<tr><td>${number}<td>${requests}<td>${prefix_reuse}<td>${generated_tokens}<td>${busy}` +
      `<td>${preemptions}</tr>`,
  );
  return `<h2>Workers</h2><table><tr><th>worker<th>requests<th>reuse<th>tokens<th>busy
<th>preemptions</tr>${rows.join("")}</table>`;
}

/** Shares over the logarithm of the time, so that the middle and the tail are both seen. */
function cumulative(samples: number[]): Line["points"] {
  samples.sort((a, b) => a - b);
  const points: [number, number][] = [];
  for (let i = 0; i <= POINTS && samples.length > 0; i++) {
    const at = Math.min(samples.length - 1, Math.floor((i / POINTS) * samples.length));
    points.push([Math.log10(Math.max(1, samples[at]!)), i / POINTS]);
  }
  return points;
}

function overTime(records: readonly RequestRecord[], of: (record: RequestRecord) => number) {
  return binned(records, (bin) => bin.reduce((sum, record) => sum + of(record), 0) / bin.length);
}

function reuseOverTime(records: readonly RequestRecord[]): Line["points"] {
  return binned(records, (bin) => {
    const cached = bin.reduce((sum, record) => sum + record.cached_tokens, 0);
    return cached / bin.reduce((sum, record) => sum + record.input_length, 0);
  });
}

function binned(
  records: readonly RequestRecord[],
  figure: (bin: readonly RequestRecord[]) => number,
): Line["points"] {
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
    .map(([number, bin]) => [((number + 0.5) * width_ms) / 1_000, figure(bin)] as const);
}

const COLOURS = ["#1664c0", "#c0561a"];

function drawn({ title, x, y, lines }: Plot): string {
  const all = lines.flatMap((line) => line.points);
  const x_max = Math.max(1e-9, ...all.map(([value]) => value));
  const y_max = Math.max(1e-9, ...all.map(([, value]) => value));
  const across = (value: number) =>
    MARGIN.left + (value / x_max) * (WIDTH - MARGIN.left - MARGIN.right);
  const up = (value: number) =>
    HEIGHT - MARGIN.bottom - (value / y_max) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const log = x.includes("log");
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const value = part * x_max;
    const shown = short(log ? 10 ** value : value);
    return (
      `<text x="${across(value)}" y="${HEIGHT - 16}" text-anchor="middle">${shown}</text>` +
      `<text x="${MARGIN.left - 6}" y="${up(part * y_max) + 4}" text-anchor="end">` +
      `${short(part * y_max)}</text><line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" ` +
      `y1="${up(part * y_max)}" y2="${up(part * y_max)}" stroke="#eee"/>`
    );
  });
  const drawnLines = lines.map(({ name, points }, i) => {
    const path = points.map(([a, b]) => `${across(a).toFixed(1)},${up(b).toFixed(1)}`).join(" ");
    const label_x = MARGIN.left + 10 + 150 * i;
    return (
      `<polyline points="${path}" fill="none" stroke="${COLOURS[i]}" stroke-width="1.5"/>` +
      `<text x="${label_x}" y="${MARGIN.top + 8}" fill="${COLOURS[i]}">${escaped(name)}</text>`
    );
  });
  return `<h2>${escaped(title)}</h2>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" font-size="11" role="img">${ticks.join("")}
${drawnLines.join("")}<text x="${WIDTH - MARGIN.right}" y="${HEIGHT - 2}" text-anchor="end">${x}</text>
<text x="4" y="10">${y}</text></svg>`;
}

function short(value: number): string {
  if (value >= 1_000_000) return `${(value / 1_000_000).toPrecision(2)}M`;
  if (value >= 10_000) return `${(value / 1_000).toFixed(0)}k`;
  return value >= 10 ? value.toFixed(0) : value.toPrecision(2);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
