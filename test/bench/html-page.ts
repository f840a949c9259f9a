/** Pieces of a report in one HTML file that needs nothing else: tables, and plots as SVG. */

export type Series = {
  readonly name: string;
  /** In the order of x. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
};

export type Plot = {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  /** Steps of ten on the y axis: for latencies that span several. */
  readonly logarithmic?: boolean;
};

const [width, height] = [640, 300];
const edge = { left: 64, right: 16, top: 16, bottom: 44 };
const colours = ["#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2"];
const style = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1340px; padding: 0 1rem;
    color: #1f2937; background: #fff }
  table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .25rem .75rem; text-align: right }
  th:first-child, td:first-child { text-align: left } thead { border-bottom: 2px solid #9ca3af }
  tr + tr { border-top: 1px solid #e5e7eb } figure { display: inline-block; margin: 0 .5rem 1rem 0 }
  figcaption { font-weight: 600 } svg { max-width: 100% } svg text { font-size: 12px; fill: #4b5563 }
  pre { overflow-x: auto; background: #f3f4f6; padding: .75rem }
  @media (prefers-color-scheme: dark) { body { color: #e5e7eb; background: #111827 }
    svg text { fill: #9ca3af } pre { background: #1f2937 } tr + tr { border-color: #374151 } }`;

/** The whole page; `parts` are HTML. */
export function page(title: string, parts: readonly string[]): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title><style>${style}</style></head>
<body><h1>${escaped(title)}</h1>
${parts.join("\n")}
</body></html>
`;
}

export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (tag: string, cells: readonly string[]) =>
    `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join("")}</tr>`;
  const body = rows.map((cells) => line("td", cells)).join("\n");
  return `<table><thead>${line("th", heads)}</thead><tbody>\n${body}\n</tbody></table>`;
}

export const preformatted = (text: string): string => `<pre>${escaped(text)}</pre>`;

/**
 * Lines over a grid; points that are not finite (or not above 0 on a logarithmic axis) are left
 * out.
 */
export function linePlot(plot: Plot): string {
  const drawable = (y: number) => Number.isFinite(y) && (!plot.logarithmic || y > 0);
  const series = plot.series.map(({ name, points }) => ({
    name,
    points: points.filter(({ x, y }) => Number.isFinite(x) && drawable(y)),
  }));
  const points = series.flatMap((one) => one.points);
  if (points.length === 0) return "";
  const xs = axis(
    points.map(({ x }) => x),
    [edge.left, width - edge.right],
    false,
  );
  const ys = axis(
    points.map(({ y }) => y),
    [height - edge.bottom, edge.top],
    plot.logarithmic,
  );
  const lines = series.map(({ points: own }, i) => {
    const path = own.map(({ x, y }) => `${xs.at(x).toFixed(1)},${ys.at(y).toFixed(1)}`).join(" ");
    return `<polyline points="${path}" fill="none" stroke="${colourOf(i)}" stroke-width="1.6"/>`;
  });
  const grid = [
    ...ys.ticks.map((tick) => {
      const y = ys.at(tick).toFixed(1);
      const text = `<text x="${edge.left - 6}" y="${y}" dy="4" text-anchor="end">${short(tick)}</text>`;
      return `<path d="M${edge.left} ${y}H${width - edge.right}" stroke="#9ca3af55"/>${text}`;
    }),
    ...xs.ticks.map((tick) => {
      const [x, y] = [xs.at(tick).toFixed(1), height - edge.bottom + 16];
      return `<text x="${x}" y="${y}" text-anchor="middle">${short(tick)}</text>`;
    }),
  ];
  const legend = series.map(({ name }, i) => {
    const at = edge.left + 8 + i * 110;
    return `<text x="${at}" y="12" style="fill:${colourOf(i)}">${escaped(name)}</text>`;
  });
  const names = [
    `<text x="${width / 2}" y="${height - 6}" text-anchor="middle">${escaped(plot.x)}</text>`,
    `<text transform="translate(12 ${height / 2}) rotate(-90)" text-anchor="middle">${escaped(plot.y)}</text>`,
  ];
  const box = `viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`;
  const drawing = [...grid, ...lines, ...legend, ...names].join("\n");
  return `<figure><figcaption>${escaped(plot.title)}</figcaption><svg ${box} role="img">${drawing}</svg></figure>`;
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

const colourOf = (index: number) => colours[index % colours.length] ?? "#000";
const short = (value: number) =>
  value >= 10_000
    ? `${Number((value / 1000).toPrecision(3))}k`
    : String(Number(value.toPrecision(4)));
const escaped = (text: string) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
