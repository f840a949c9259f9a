/** One chart of uPlot, in the colours of the theme. Its figures stand in the table below it. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useStore } from "../../../data/use-store.ts";
import { theme } from "../../../shell/theme.ts";
import { timeOfDay } from "../../../ui/format.ts";
import { colorOf } from "../colors.ts";
import { useDark } from "../use-dark.ts";
import { useWidth } from "../use-width.ts";
import { loneValues, type Series } from "./series.ts";

type ChartProps = {
  readonly title: string;
  readonly series: Series;
  readonly format: (value: number) => string;
  /** Its scale goes to one, whatever its values are. */
  readonly share: boolean;
  /** Nothing stands between two of its numbers. */
  readonly whole: boolean;
  /** A value holds until the next one. */
  readonly steps: boolean;
  /** How far it reaches back from its newest point. */
  readonly span_ms: number;
};

const HEIGHT = 150;

export function Chart(props: ChartProps) {
  const { title, series, format, share, whole, span_ms } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const width = useWidth(box);
  const shade = `${useStore(theme)} ${useDark()}`;
  // A chart is made anew for other lines or colours, not for each point.
  const shape = `${series.lines.map(({ label }) => label).join("\n")} ${shade}`;
  useEffect(() => {
    if (box.current === null || width === 0) return;
    const made = new uPlot(optionsOf(width, props), dataOf(series), box.current);
    plot.current = made;
    return () => {
      plot.current = undefined;
      made.destroy();
    };
  }, [shape, width === 0, share, whole, format, span_ms]);
  useEffect(() => plot.current?.setSize({ width, height: HEIGHT }), [width]);
  useEffect(() => plot.current?.setData(dataOf(series)), [series]);
  return <div ref={box} class="chart" role="img" aria-label={`${title}; figures follow`} />;
}

const dataOf = ({ times, lines }: Series): uPlot.AlignedData => [
  times as number[],
  ...lines.map(({ values }) => values as (number | null)[]),
];

function optionsOf(
  width: number,
  { series: { lines }, format, share, whole, steps, span_ms }: ChartProps,
): uPlot.Options {
  const grid = { stroke: colorOf("--line"), width: 1 };
  const axis = {
    ...{ stroke: colorOf("--soft"), font: "11px system-ui, sans-serif", grid },
    ticks: { show: false },
  };
  return {
    ...{ width, height: HEIGHT },
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, points: { size: 6 } },
    padding: [8, 16, 0, 0],
    scales: {
      // The same hour in all charts, however much of it is known.
      x: { range: (_, _least, most) => [(most ?? 0) - span_ms / 1_000, most ?? 0] },
      y: { range: (_, least, most) => rangeOf(least, most, share) },
    },
    axes: [
      { ...axis, size: 24, space: 64, values: (_, at) => at.map(timeText) },
      {
        ...axis,
        size: 62,
        gap: 4,
        ...(whole ? { incrs: wholeSteps } : {}),
        values: (_, at) => at.map((value) => format(value)),
      },
    ],
    series: [
      {},
      ...lines.map(({ label, color, second }) => ({
        label,
        stroke: colorOf(`--series-${color + 1}`),
        width: 1.5,
        ...(second ? { dash: [4, 3] } : {}),
        points: { show: true, size: 5, filter: lone },
        spanGaps: false,
        ...(steps ? { paths: stepped } : {}),
      })),
    ],
  };
}

const stepped = uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder;

const wholeSteps = [1, 10, 100, 1_000, 10_000].flatMap((step) => [step, 2 * step, 5 * step]);

const lone: uPlot.Series.Points.Filter = (plot, line) => loneValues([...(plot.data[line] ?? [])]);

/** From zero, so that heights can be compared. */
function rangeOf(_least: number, most: number, share: boolean): [number, number] {
  if (share) return [0, 1];
  return [0, most > 0 ? most * 1.1 : 1];
}

const timeText = (at_s: number): string => timeOfDay(1_000 * at_s).replace(/:00$/, "");
