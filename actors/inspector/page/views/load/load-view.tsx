/** The cluster's load: the last hour as charts, by worker and by model, and in figures. */
import { useMemo, useState } from "preact/hooks";
import { Choices } from "../../ui/choices.tsx";
import { count, duration, percent, rate } from "../../ui/format.ts";
import { Empty, Stat, Stats } from "../../ui/parts.tsx";
import { ChartPanel, spans } from "../shared/chart/chart-panel.tsx";
import { shownSince } from "../shared/chart/series.ts";
import type { ViewProps } from "../view.ts";
import { type By, type LoadPoint, type Metric, metrics, seriesOf } from "./load-points.ts";
import { useLoad } from "./use-load.ts";

const bys: readonly (readonly [By, string])[] = [
  ["total", "Cluster"],
  ["workers", "By worker"],
  ["models", "By model"],
];

export function LoadView(_: ViewProps) {
  const { value: points, loaded, failure } = useLoad();
  const [by, setBy] = useState<By>("total");
  const [span_ms, setSpan] = useState<number>(spans[0][0]);
  const shown = useMemo(() => shownSince(points, span_ms), [points, span_ms]);
  const last = points.at(-1);
  return (
    <div class="view load">
      <div class="view-head">
        <h1>Load</h1>
        <Choices label="Lines" options={bys} chosen={by} onChoose={setBy} />
        <Choices label="Time" options={spans} chosen={span_ms} onChoose={setSpan} />
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

type MetricPanelProps = {
  readonly metric: Metric;
  readonly points: readonly LoadPoint[];
  readonly by: By;
  readonly span_ms: number;
};

function MetricPanel({ metric, points, by, span_ms }: MetricPanelProps) {
  const series = useMemo(() => seriesOf(points, metric, by), [points, metric, by]);
  return <ChartPanel {...metric} {...{ series, span_ms }} />;
}
