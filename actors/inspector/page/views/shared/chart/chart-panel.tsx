/** A chart with its figures below it. */
import { count, duration, percent, rate } from "../../../ui/format.ts";
import { Panel } from "../../../ui/parts.tsx";
import { Chart } from "./chart.tsx";
import "./chart.css";
import type { Series, Unit } from "./series.ts";
import { SummaryTable } from "./summary-table.tsx";

export const formats: Readonly<Record<Unit, (value: number) => string>> = {
  per_s: rate,
  ms: duration,
  // A mean of whole numbers is seldom one.
  count: rate,
  share: percent,
  tokens: count,
};

/** How far charts reach back. */
export const spans = [
  [300_000, "5 min"],
  [900_000, "15 min"],
  [3_600_000, "1 h"],
] as const;

type ChartPanelProps = {
  readonly title: string;
  readonly unit: Unit;
  readonly series: Series;
  readonly span_ms: number;
  /** A value holds until the next one. */
  readonly steps?: boolean;
};

export function ChartPanel({ title, unit, series, span_ms, steps = false }: ChartPanelProps) {
  const format = formats[unit];
  return (
    <Panel title={title}>
      <div class="chart-body">
        <Chart
          share={unit === "share"}
          whole={unit === "count"}
          {...{ title, series, format, span_ms, steps }}
        />
        <SummaryTable {...{ title, series, format }} />
      </div>
    </Panel>
  );
}
