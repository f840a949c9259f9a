/** Lines over a grid as SVG, for a page that loads nothing. */
import { escaped } from "./html-page.ts";

export type Series = {
  readonly name: string;
  /** In the order of x. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
  /**
   * `line`: from point to point; `steps`: a value holds until the next one; `dots`: no line;
   * `limit`: a dashed line. Absent: `line`.
   */
  readonly drawn?: "line" | "steps" | "dots" | "limit";
};

export type Plot = {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  /** Steps of ten on the y axis: for latencies that span several. */
  readonly logarithmic?: boolean;
  /** The same of the x axis. */
  readonly logarithmic_x?: boolean;
};

const [width, height] = [640, 300];
const edge = { left: 64, right: 16, top: 24, bottom: 44 };
const LIMIT = "#dc2626";
const colours = ["#2563eb", "#d97706", "#059669", "#7c3aed", "#db2777", "#0891b2"];

/**
 * Points that are not finite are left out, and so are those not above 0 on a logarithmic axis.
 * @returns an HTML figure; empty when nothing is left to draw
 */
export function linePlot(plot: Plot): string {
  const isDrawable = ({ x, y }: { x: number; y: number }) =>
    Number.isFinite(x) &&
    Number.isFinite(y) &&
    (!plot.logarithmic || y > 0) &&
    (!plot.logarithmic_x || x > 0);
  const series = plot.series.map((one) => ({ ...one, points: one.points.filter(isDrawable) }));
  const points = series.flatMap((one) => one.points);
  if (points.length === 0) return "";
  const xs = axis(
    points.map(({ x }) => x),
    [edge.left, width - edge.right],
    plot.logarithmic_x,
  );
  const ys = axis(
    points.map(({ y }) => y),
    [height - edge.bottom, edge.top],
    plot.logarithmic,
  );
  const lines = series.map((one, i) => drawnSeries(one, xs, ys, colourOf(one, i)));
  const grid = [
    ...ys.ticks.map((tick) => {
      const y = ys.at(tick).toFixed(1);
      const at = `x="${edge.left - 6}" y="${y}" dy="4" text-anchor="end"`;
      return (
        `<path d="M${edge.left} ${y}H${width - edge.right}" stroke="#9ca3af55"/>` +
        `<text ${at}>${short(tick)}</text>`
      );
    }),
    ...xs.ticks.map((tick) => {
      const [x, y] = [xs.at(tick).toFixed(1), height - edge.bottom + 16];
      return `<text x="${x}" y="${y}" text-anchor="middle">${short(tick)}</text>`;
    }),
  ];
  const middle = { x: width / 2, y: height / 2 };
  const names = [
    `<text x="${middle.x}" y="${height - 6}" text-anchor="middle">${escaped(plot.x)}</text>`,
    `<text transform="translate(12 ${middle.y}) rotate(-90)" text-anchor="middle">` +
      `${escaped(plot.y)}</text>`,
  ];
  const box = `viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`;
  const title = escaped(plot.title);
  const drawing = [...grid, ...lines, ...legendOf(series), ...names].join("\n");
  return (
    `<figure><figcaption>${title}</figcaption>` +
    `<svg ${box} role="img" aria-label="${title}">${drawing}</svg></figure>`
  );
}

/** Names side by side, each as wide as its letters need about. */
function legendOf(series: readonly Series[]): string[] {
  let x = edge.left + 8;
  return series.map((one, i) => {
    const { name, drawn } = one;
    const text = drawn === "limit" ? `┄ ${name}` : name;
    const at = x;
    x += 14 + 6.6 * text.length;
    return `<text x="${at.toFixed(0)}" y="12" fill="${colourOf(one, i)}">${escaped(text)}</text>`;
  });
}

function drawnSeries({ points, drawn }: Series, xs: Axis, ys: Axis, colour: string): string {
  const at = points.map(({ x, y }) => [xs.at(x).toFixed(1), ys.at(y).toFixed(1)] as const);
  if (drawn === "dots") {
    return at.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3.5" fill="${colour}"/>`).join("");
  }
  const corners =
    drawn === "steps"
      ? at.flatMap(([x, y], i) =>
          i === 0
            ? [[x, y]]
            : [
                [x, at[i - 1]?.[1] ?? y],
                [x, y],
              ],
        )
      : at;
  const path = corners.map((corner) => corner.join()).join(" ");
  const dashes = drawn === "limit" ? ' stroke-dasharray="6 4"' : "";
  return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.6"${dashes}/>`;
}

type Axis = { readonly at: (value: number) => number; readonly ticks: readonly number[] };

function axis(values: readonly number[], [from, to]: [number, number], log = false): Axis {
  let [low, high] = [log ? Infinity : 0, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (log) {
    const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
    const decades = Math.max(1, last - first);
    return {
      at: (value) => from + ((Math.log10(value) - first) / decades) * (to - from),
      ticks: Array.from({ length: decades + 1 }, (_, i) => 10 ** (first + i)),
    };
  }
  const step = niceStep((high - low) / 5);
  const top = Math.max(low + step, Math.ceil(high / step) * step);
  return {
    at: (value) => from + ((value - low) / (top - low)) * (to - from),
    ticks: Array.from({ length: Math.round((top - low) / step) + 1 }, (_, i) => low + i * step),
  };
}

/** 1, 2 or 5 times a power of ten, at least `wanted`. */
function niceStep(wanted: number): number {
  if (!(wanted > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return power * ([1, 2, 5, 10].find((nice) => nice * power >= wanted) ?? 10);
}

const colourOf = ({ drawn }: Series, index: number) =>
  (drawn === "limit" ? LIMIT : colours[index % colours.length]) ?? "#000";
const short = (value: number) =>
  value >= 10_000
    ? `${Number((value / 1000).toPrecision(3))}k`
    : String(Number(value.toPrecision(4)));
