/**
 * `bun run bench speculate --json > ROWS; bun test/bench/drafts/speculate-plot.ts ROWS OUT.svg`:
 * tokens that a stream gets in one step of the engine, against the streams that run at once, for
 * each load.
 */
import { readFileSync, writeFileSync } from "node:fs";

type Point = { readonly streams: number; readonly tokens_a_step: number };
type Curve = { readonly name: string; readonly drawn: boolean; readonly points: Point[] };

const [LEFT, RIGHT, TOP, BOTTOM] = [48, 470, 36, 250];
const COLORS = ["#1664c0", "#c0392b", "#2e8b57"];

function curvesOf(text: string): Curve[] {
  const curves = new Map<string, Curve>();
  for (const line of text.split("\n")) {
    if (!line.startsWith("{")) continue;
    const { load, sampling, streams, tokens_a_step } = JSON.parse(line);
    if (typeof streams !== "number" || typeof tokens_a_step !== "number") continue;
    const name = `${load}, ${sampling}`;
    const curve = curves.get(name) ?? { name, drawn: sampling === "drawn", points: [] };
    curve.points.push({ streams, tokens_a_step });
    curves.set(name, curve);
  }
  return [...curves.values()];
}

/** Streams double from mark to mark. */
function plot(curves: readonly Curve[]): string {
  const all = curves.flatMap(({ points }) => points);
  const streams = [...new Set(all.map((point) => point.streams))].toSorted((a, b) => a - b);
  const [least = 1, most = 1] = [streams[0], streams.at(-1)];
  const top = Math.ceil(Math.max(...all.map((point) => point.tokens_a_step)));
  const doublings = Math.max(1, Math.log2(most / least));
  const x = (count: number) => LEFT + ((RIGHT - LEFT) * Math.log2(count / least)) / doublings;
  const y = (tokens: number) => BOTTOM - ((BOTTOM - TOP) * tokens) / top;
  const at = ({ streams: count, tokens_a_step }: Point) =>
    `${x(count).toFixed(1)},${y(tokens_a_step).toFixed(1)}`;
  const loads = [...new Set(curves.map(({ name }) => name.split(",")[0]))];
  const lines = curves.map(({ name, drawn, points }, i) => {
    const color = COLORS[loads.indexOf(name.split(",")[0]) % COLORS.length];
    const dash = drawn ? ' stroke-dasharray="5 4"' : "";
    const [from, to, row] = [RIGHT + 24, RIGHT + 54, TOP + 20 * i];
    return (
      `<polyline points="${points.map(at).join(" ")}" fill="none" stroke="${color}"${dash}/>` +
      `<path d="M${from} ${row}H${to}" stroke="${color}"${dash}/>` +
      `<text x="${to + 8}" y="${row + 4}">${name}</text>`
    );
  });
  const across = streams.map(
    (count) => `<text x="${x(count)}" y="${BOTTOM + 16}" text-anchor="middle">${count}</text>`,
  );
  const up = Array.from({ length: top + 1 }, (_, tokens) => {
    const row = y(tokens);
    return (
      `<path d="M${LEFT} ${row}H${RIGHT}" stroke="${tokens === 1 ? "#999" : "#e4e4e4"}"/>` +
      `<text x="${LEFT - 8}" y="${row + 4}" text-anchor="end">${tokens}</text>`
    );
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 290" font-family="sans-serif" font-size="12">
<rect width="640" height="290" fill="#fff"/>
<text x="${LEFT}" y="18">Tokens of a stream in one step, against streams at once (1: no guesses)</text>
${[...up, ...across, ...lines].join("\n")}
<text x="${(LEFT + RIGHT) / 2}" y="${BOTTOM + 34}" text-anchor="middle">streams</text>
</svg>
`;
}

const [rows, out] = Bun.argv.slice(2);
if (rows === undefined || out === undefined) {
  console.error("bun test/bench/drafts/speculate-plot.ts ROWS OUT.svg");
  process.exit(2);
}
const curves = curvesOf(readFileSync(rows, "utf8"));
if (curves.length === 0) {
  console.error(`${rows} has no rows of: bun run bench speculate --json`);
  process.exit(2);
}
writeFileSync(out, plot(curves));
