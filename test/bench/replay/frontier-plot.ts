/**
 * `bun test/bench/replay/frontier-plot.ts TRACE OUT.svg`: first tokens against whole answers as the
 * router looks further beyond the request's own first token, and where its objectives lie. Draws the plot of
 * docs/routing.md and prints its tables.
 */
import { readFileSync, writeFileSync } from "node:fs";
import {
  type FrontierFigures,
  frontierCases,
  frontierFigures,
  frontierObjectives,
  frontierSweep,
  mean,
} from "./frontier.ts";
import { readTrace } from "./trace.ts";

type Measured = { readonly name: string; readonly figures: FrontierFigures };

const LEFT = 64;
const RIGHT = 600;
const TOP = 40;
const BOTTOM = 300;
/** Of the plot's area, kept free around the points. */
const MARGIN = 0.12;

function scale(values: readonly number[], from: number, to: number) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = Math.max(1e-9, high - low) * MARGIN;
  const unit = (to - from) / (high - low + 2 * room);
  return { low, high, place: (value: number) => from + (value - low + room) * unit };
}

function drawn(sweep: readonly Measured[], objectives: readonly Measured[]): string {
  const all = [...sweep, ...objectives].map(({ figures }) => figures);
  const across = scale(
    all.map((each) => each.ttft_ms),
    LEFT,
    RIGHT,
  );
  const up = scale(
    all.map((each) => each.e2e_ms),
    BOTTOM,
    TOP,
  );
  const at = ({ ttft_ms, e2e_ms }: FrontierFigures) =>
    [across.place(ttft_ms).toFixed(1), up.place(e2e_ms).toFixed(1)] as const;
  const share = (figures: FrontierFigures) => `${(100 * mean(figures.goodput)).toFixed(1)} %`;
  const line = sweep.map(({ figures }) => at(figures).join()).join(" ");
  const points = sweep.map(({ name, figures }) => {
    const [x, y] = at(figures);
    return (
      `<circle cx="${x}" cy="${y}" r="3" fill="#777"/>` +
      `<text x="${x}" y="${y}" dx="6" dy="-6" fill="#777">${name}: ${share(figures)}</text>`
    );
  });
  const marks = objectives.map(({ name, figures }) => {
    const [x, y] = at(figures);
    return (
      `<circle cx="${x}" cy="${y}" r="5" fill="#1664c0"/>` +
      `<text x="${x}" y="${y}" dx="8" dy="14" fill="#1664c0">${name}: ${share(figures)}</text>`
    );
  });
  const edge = (value: number, x: number, y: number, anchor: string) =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}">${Math.round(value)}</text>`;
  const edges = [
    edge(across.low, across.place(across.low), BOTTOM + 16, "middle"),
    edge(across.high, across.place(across.high), BOTTOM + 16, "middle"),
    edge(up.low, LEFT - 6, up.place(up.low), "end"),
    edge(up.high, LEFT - 6, up.place(up.high), "end"),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 340" font-family="sans-serif" font-size="12">
<rect width="680" height="340" fill="#fff"/>
<text x="${LEFT}" y="18">Mean whole answer, ms, against mean time to first token, ms; goodput at each point</text>
<path d="M${LEFT} ${TOP}V${BOTTOM}H${RIGHT}" fill="none" stroke="#bbb"/>
<polyline points="${line}" fill="none" stroke="#999"/>
${[...points, ...marks, ...edges].join("\n")}
</svg>
`;
}

const [path, out] = Bun.argv.slice(2);
if (path === undefined || out === undefined) {
  console.error("bun test/bench/replay/frontier-plot.ts TRACE OUT.svg");
  process.exit(2);
}
const cases = frontierCases(readTrace(readFileSync(path, "utf8"), 512));
const measured = [...frontierSweep, ...frontierObjectives].map(({ name, policy }): Measured => {
  const figures = frontierFigures(cases, policy);
  const times = [figures.ttft_ms, figures.ttft_p99_ms, figures.e2e_ms].map((ms) => ms.toFixed(0));
  const shares = [...figures.goodput, mean(figures.goodput)].map((each) => each.toFixed(3));
  console.log(`| ${[name, ...times, ...shares].join(" | ")} |`);
  return { name, figures };
});
for (const { name, figures } of measured.slice(-frontierObjectives.length)) {
  for (const [i, [reuse, ttft_ms, e2e_ms]] of figures.cases.entries()) {
    const times = [ttft_ms, e2e_ms].map((ms) => ms.toFixed(0));
    console.log(`${name}, trace ${i + 1}: ${[reuse.toFixed(3), ...times].join(" · ")}`);
  }
}
writeFileSync(
  out,
  drawn(measured.slice(0, frontierSweep.length), measured.slice(frontierSweep.length)),
);
