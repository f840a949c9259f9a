/** What the planner sees, decides and has asked for: figures, charts, decisions with their why. */
import { useMemo, useState } from "preact/hooks";
import type { PlannerAnswer } from "../../../planner-rows.ts";
import { Chip, type Tone } from "../../ui/chip.tsx";
import { Choices } from "../../ui/choices.tsx";
import { duration, percent, rate, timeOfDay } from "../../ui/format.ts";
import { Empty, Panel, Select, Stat, Stats, Table } from "../../ui/parts.tsx";
import { ChartPanel, spans } from "../shared/chart/chart-panel.tsx";
import { shownSince } from "../shared/chart/series.ts";
import { type Feeding, useFed } from "../shared/use-fed.ts";
import type { ViewProps } from "../view.ts";
import { Changes, Decisions, Latest } from "./decisions.tsx";
import "./planner.css";
import {
  behind,
  chartsOf,
  type KnownPlanner,
  knobsOf,
  type Planners,
  withNews,
} from "./planner-data.ts";

type Known = { readonly planners: Planners; readonly gone?: boolean | undefined };

const feeding: Feeding<Known, PlannerAnswer, PlannerAnswer> = {
  ...{ topic: "planner", path: "/api/planner", start: { planners: [] } },
  answered: ({ planners }, answer) => ({ ...answer, planners: behind(planners, answer) }),
  framed: ({ planners }, news) => ({ ...news, planners: withNews(planners, news) }),
};

export function PlannerView(_: ViewProps) {
  const { value, loaded, failure } = useFed(feeding);
  const { planners, gone } = value;
  const [wanted, want] = useState("");
  const [span_ms, setSpan] = useState<number>(spans[0][0]);
  const planner = planners.find(({ model }) => model === wanted) ?? planners[0];
  return (
    <div class="view planner">
      <div class="view-head">
        <h1>Planner</h1>
        {planners.length > 1 && (
          <Select
            label="Model"
            value={planner?.model ?? ""}
            options={planners.map(({ model }) => [model, model] as const)}
            onChange={want}
          />
        )}
        {planner !== undefined && (
          <>
            <Standing planner={planner} />
            {planners.length === 1 && <span class="soft">{planner.model}</span>}
            <a href={`/api/planner/report?model=${encodeURIComponent(planner.model)}`}>Report</a>
            <Choices label="Time" options={spans} chosen={span_ms} onChoose={setSpan} />
          </>
        )}
      </div>
      {planner === undefined ? (
        <Nothing {...{ loaded, failure, gone }} />
      ) : (
        <One key={planner.model} {...{ planner, span_ms }} />
      )}
    </div>
  );
}

type NothingProps = Pick<Known, "gone"> & {
  readonly loaded: boolean;
  readonly failure: string | undefined;
};

function Nothing({ loaded, failure, gone }: NothingProps) {
  const title = failure
    ? "No answer"
    : gone
      ? "The planner is gone"
      : loaded
        ? "There is no planner"
        : "Asking";
  return (
    <Empty icon="planner" title={title}>
      {failure ??
        (gone ? (
          AWAY
        ) : loaded ? (
          <>
            Nothing scales this cluster by itself. Start it with <code>--planner sla</code> and{" "}
            <code>--ttft-ms</code>, <code>--itl-ms</code> for one that does.
          </>
        ) : (
          "Planners say what they decide."
        ))}
    </Empty>
  );
}

const AWAY = "Its process has ended and is being started again; what is under way goes on.";

const tones: Readonly<Record<string, Tone>> = { decides: "good", advises: "accent" };

function Standing({ planner: { away, standing, says } }: { planner: KnownPlanner }) {
  return (
    <Chip tone={away ? "bad" : (tones[standing] ?? "warn")} title={away ? AWAY : says}>
      {away ? "gone" : standing.replaceAll("_", " ")}
    </Chip>
  );
}

function One({ planner, span_ms }: { planner: KnownPlanner; span_ms: number }) {
  const { points, decisions, pending, ended, trouble, away, standing, says, totals } = planner;
  const unseen = trouble ? `The last look came to nothing: ${trouble}` : "";
  const note = away ? AWAY : unseen || (tones[standing] ? "" : says);
  const charts = useMemo(
    () => chartsOf(planner, shownSince(points, span_ms)),
    [points, planner.config, span_ms],
  );
  return (
    <>
      <Now planner={planner} />
      {note && (
        <p class="lost-note" role="alert">
          {note}
        </p>
      )}
      <Latest decisions={decisions} />
      <Changes pending={pending} ended={ended} />
      {totals.since_ms > 0 && (
        <p class="soft">
          {`Charts and sums begin at ${timeOfDay(totals.since_ms)}, with this planner's process.`}
        </p>
      )}
      <div class="charts">
        {charts.map((chart) => (
          <ChartPanel key={chart.title} {...chart} span_ms={span_ms} />
        ))}
      </div>
      <Decisions decisions={decisions} />
      <Panel title="Configuration">
        <Table
          label="Configuration"
          columns={[
            { title: "Knob", cell: ([name]) => <span class="mono">{name}</span> },
            { title: "Value", cell: ([, value]) => value },
          ]}
          rows={knobsOf(planner)}
          keyOf={([name]) => name}
        />
      </Panel>
    </>
  );
}

const over = (value: number | undefined, limit: number) =>
  value !== undefined && value > limit ? ("bad" as const) : undefined;

function Now({ planner }: { planner: KnownPlanner }) {
  const { node, epoch, config, totals, others, overruns } = planner;
  const {
    ttft_p95_ms,
    itl_p95_ms,
    attainment,
    requests_per_s,
    roles = {},
  } = planner.points.at(-1) ?? {};
  const counts = Object.entries(roles);
  const sum = (of: (counts: { serving: number; target: number }) => number) =>
    counts.reduce((all, [, each]) => all + of(each), 0);
  const hours = Object.values(totals.worker_hours).reduce((all, each) => all + each, 0);
  return (
    <Stats>
      <Stat
        label="Decided by"
        says="Process and epoch; changes of a smaller epoch are refused"
        value={node}
        note={`epoch ${epoch}${others.length > 0 ? `, ${others.length} stand by` : ""}`}
      />
      <Stat
        label="Workers"
        says="Serving, and how many there are to be"
        value={sum(({ serving }) => serving)}
        note={`target ${sum(({ target }) => target)}`}
      />
      <Stat label="Requests/s" value={rate(requests_per_s)} />
      <Stat
        label="TTFT p95"
        says="Time to first token"
        value={duration(ttft_p95_ms)}
        note={`SLA ${duration(config.ttft_ms)}`}
        tone={over(ttft_p95_ms, config.ttft_ms)}
      />
      <Stat
        label="ITL p95"
        says="Inter-token latency: time between two tokens"
        value={duration(itl_p95_ms)}
        note={`SLA ${duration(config.itl_ms)}`}
        tone={over(itl_p95_ms, config.itl_ms)}
      />
      <Stat
        label="Within the SLA"
        says="Of the answers of the last interval, those within both limits; below it of all"
        value={percent(attainment)}
        note={`all ${percent(totals.attainment)}`}
        tone={over(config.sla_share, attainment ?? 1)}
      />
      <Stat
        label="Worker hours"
        says="Workers cost while they start, serve and retire; since this planner began"
        value={rate(hours)}
        note={`GPU hours ${rate(totals.gpu_hours)}`}
      />
      <Stat
        label="Decisions"
        says="That changed something"
        value={totals.decisions}
        note={overruns > 0 ? `${overruns} ticks dropped` : `since ${timeOfDay(totals.since_ms)}`}
      />
    </Stats>
  );
}
