/** The cluster's load: the last hour as charts, by worker and by model, and in figures. */
import { useMemo, useState } from "preact/hooks";
import { Button } from "../../ui/button.tsx";
import { count, duration, percent, rate } from "../../ui/format.ts";
import { Empty, Panel, Stat, Stats } from "../../ui/parts.tsx";
import type { ViewProps } from "../view.ts";
import { Chart } from "./chart.tsx";
import "./load.css";
import {
  type By,
  type LoadPoint,
  type Metric,
  metrics,
  seriesOf,
  shownSince,
  type Unit,
} from "./load-points.ts";
import { SummaryTable } from "./summary-table.tsx";
import { useLoad } from "./use-load.ts";

const spans = [
  ["5 min", 300_000],
  ["15 min", 900_000],
  ["1 h", 3_600_000],
] as const;

const bys: readonly (readonly [By, string])[] = [
  ["total", "Cluster"],
  ["workers", "By worker"],
  ["models", "By model"],
];

export function LoadView(_: ViewProps) {
  const { points, loaded, failure } = useLoad();
  const [by, setBy] = useState<By>("total");
  const [span_ms, setSpan] = useState<number>(spans[0][1]);
  const shown = useMemo(() => shownSince(points, span_ms), [points, span_ms]);
  const last = points.at(-1);
  return (
    <div class="view load">
      <div class="view-head">
        <h1>Load</h1>
        <Choices label="Lines" options={bys} chosen={by} onChoose={setBy} />
        <Choices
          label="Time"
          options={spans.map(([text, value]) => [value, text] as const)}
          chosen={span_ms}
          onChoose={setSpan}
        />
      </div>
      {last === undefined ? (
        <Empty icon="load" title={failure === undefined ? "No figures yet" : "No answer"}>
          {failure ??
            (loaded
              ? "The cluster counts from its start on; the first point comes within seconds."
              : "Asking for the last hour.")}
        </Empty>
      ) : (
        <>
          <Now point={last} />
          <div class="charts">
            {metrics
              .filter(({ by_worker }) => by !== "workers" || by_worker)
              .map((metric) => (
                <MetricPanel key={metric.name} points={shown} {...{ metric, by, span_ms }} />
              ))}
          </div>
          {by === "workers" && (
            <p class="soft">
              Requests a second and times are counted by the frontends, for the cluster and by
              model.
            </p>
          )}
        </>
      )}
    </div>
  );
}

type ChoicesProps<T> = {
  readonly label: string;
  readonly options: readonly (readonly [value: T, text: string])[];
  readonly chosen: T;
  readonly onChoose: (value: T) => void;
};

function Choices<T extends string | number>(props: ChoicesProps<T>) {
  const { label, options, chosen, onChoose } = props;
  return (
    <fieldset class="choices">
      <legend class="visually-hidden">{label}</legend>
      {options.map(([value, text]) => (
        <Button key={value} kind="quiet" pressed={value === chosen} onClick={() => onChoose(value)}>
          {text}
        </Button>
      ))}
    </fieldset>
  );
}

function Now({ point: { total } }: { point: LoadPoint }) {
  return (
    <Stats>
      <Stat label="Tokens/s" value={rate(total.tokens_per_s)} />
      <Stat label="Requests/s" value={rate(total.requests_per_s)} />
      <Stat
        label="TTFT"
        says="Time to first token, median"
        value={duration(total.ttft_p50_ms)}
        note={`p99 ${duration(total.ttft_p99_ms)}`}
      />
      <Stat
        label="ITL"
        says="Inter-token latency: time between two tokens, median"
        value={duration(total.itl_p50_ms)}
        note={`p99 ${duration(total.itl_p99_ms)}`}
      />
      <Stat label="Running" value={count(total.running)} />
      <Stat label="Waiting" value={count(total.waiting)} />
      <Stat
        label="Cached prompt"
        says="Share of prompt tokens that a KV cache had"
        value={percent(total.cached_share ?? undefined)}
      />
    </Stats>
  );
}

const formats: Readonly<Record<Unit, (value: number) => string>> = {
  per_s: rate,
  ms: duration,
  // A mean of whole numbers is seldom one.
  count: rate,
  share: percent,
};

type MetricPanelProps = {
  readonly metric: Metric;
  readonly points: readonly LoadPoint[];
  readonly by: By;
  readonly span_ms: number;
};

function MetricPanel({ metric, points, by, span_ms }: MetricPanelProps) {
  const series = useMemo(() => seriesOf(points, metric, by), [points, metric, by]);
  const format = formats[metric.unit];
  return (
    <Panel title={metric.title}>
      <div class="chart-body">
        <Chart
          title={metric.title}
          share={metric.unit === "share"}
          whole={metric.unit === "count"}
          {...{ series, format, span_ms }}
        />
        <SummaryTable title={metric.title} series={series} format={format} />
      </div>
    </Panel>
  );
}
