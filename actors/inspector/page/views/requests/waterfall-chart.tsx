/** The waterfall: bars of spans over one scale of time, and the same as a table. */
import { useState } from "preact/hooks";
import { duration, percent } from "../../ui/format.ts";
import { Panel, Table } from "../../ui/parts.tsx";
import type { Span } from "./request-row.ts";
import { type Bar, isMark, LANES_LIMIT, type Lane, spanLine, waterfall } from "./waterfall.ts";

type WaterfallProps = { readonly spans: readonly Span[]; readonly duration_ms: number };

export function WaterfallChart({ spans, duration_ms }: WaterfallProps) {
  const [chosen, choose] = useState<string>();
  const { lanes, ticks, sum_ms, total_ms } = waterfall(spans, duration_ms);
  const bars = lanes.slice(0, LANES_LIMIT).flatMap((lane) => lane.bars);
  const keys = bars.map(keyOf);
  const selected = bars.find((bar) => keyOf(bar) === chosen);
  /** Arrow keys go from span to span, so that all of them take one stop of the tabulator key. */
  const step = (event: KeyboardEvent & { currentTarget: HTMLElement }) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const at = Math.min(keys.length - 1, Math.max(0, keys.indexOf(chosen ?? "") + by));
    choose(keys[at]);
    event.currentTarget.querySelectorAll<HTMLElement>(".span")[at]?.focus();
  };
  if (spans.length === 0) {
    return (
      <Panel title="Where its time went">
        <p class="panel-body soft">No span of this request is known.</p>
      </Panel>
    );
  }
  return (
    <Panel
      title="Where its time went"
      actions={
        <span class="soft" data-sum-ms={sum_ms} data-duration-ms={duration_ms}>
          {`spans add up to ${duration(sum_ms)} of ${duration(duration_ms)}`}
        </span>
      }
    >
      {/* biome-ignore lint/a11y/useSemanticElements: a group of buttons, not of form fields */}
      <div
        class="waterfall"
        role="group"
        aria-label="Spans; arrow keys go through them"
        onKeyDown={step}
      >
        <Scale ticks={ticks} />
        {lanes.slice(0, LANES_LIMIT).map((lane) => (
          <LaneRow
            key={lane.choice ?? "all"}
            lane={lane}
            chosen={chosen ?? keys[0]}
            shown={selected === undefined ? undefined : chosen}
            onChoose={choose}
          />
        ))}
      </div>
      {lanes.length > LANES_LIMIT && (
        <p class="panel-body soft">{`${lanes.length - LANES_LIMIT} more answers are not drawn.`}</p>
      )}
      <SpanFacts bar={selected} total_ms={total_ms} />
      <details class="span-table">
        <summary>All spans as a table</summary>
        <SpanTable lanes={lanes} />
      </details>
    </Panel>
  );
}

const keyOf = ({ span, row }: Bar): string =>
  `${span.choice ?? "all"} ${row} ${span.name} ${span.start_ms}`;

function Scale({ ticks }: { ticks: readonly { at_ms: number; left: number }[] }) {
  return (
    <div class="scale" aria-hidden="true">
      <span />
      <div>
        {ticks.map(({ at_ms, left }) => (
          <i key={at_ms} class={left > 0.94 ? "last" : ""} style={{ left: percentOf(left) }}>
            {tickOf(at_ms)}
          </i>
        ))}
      </div>
    </div>
  );
}

/** `1.5 s`, not `1.50 s`. */
const tickOf = (at_ms: number): string =>
  duration(at_ms).replace(/\.0+(?=\D)|(\.\d*[1-9])0+(?=\D)/, "$1");

const percentOf = (share: number): string => `${(share * 100).toFixed(3)}%`;

type LaneProps = {
  readonly lane: Lane;
  /** The bar that the tabulator key reaches. */
  readonly chosen: string | undefined;
  readonly shown: string | undefined;
  readonly onChoose: (key: string | undefined) => void;
};

function LaneRow({ lane, chosen, shown, onChoose }: LaneProps) {
  return (
    <div class="lane">
      <span class="lane-name">
        {lane.choice === undefined ? "request" : `answer ${lane.choice}`}
      </span>
      <div class="lane-bars" style={{ height: `${lane.rows * 22}px` }}>
        {lane.bars.map((bar) => {
          const key = keyOf(bar);
          return (
            <button
              key={key}
              type="button"
              class={`span ${bar.span.name} ${bar.open ? "open" : ""} ${isMark(bar.span) ? "mark" : ""}`}
              style={{
                left: percentOf(bar.left),
                width: percentOf(bar.width),
                top: `${bar.row * 22}px`,
              }}
              aria-label={spanLine(bar, duration)}
              aria-pressed={key === shown}
              title={spanLine(bar, duration)}
              tabIndex={key === chosen ? 0 : -1}
              onClick={() => onChoose(key === shown ? undefined : key)}
            >
              <b aria-hidden="true">{bar.span.name}</b>
            </button>
          );
        })}
      </div>
    </div>
  );
}

type FactsProps = { readonly bar: Bar | undefined; readonly total_ms: number };

function SpanFacts({ bar, total_ms }: FactsProps) {
  if (bar === undefined) {
    return <p class="span-facts soft">Select a span to see its details.</p>;
  }
  const attributes = Object.entries(bar.span.attributes ?? {});
  return (
    <div class="span-facts" role="status">
      <strong>{bar.span.name}</strong>
      <span>{`${duration(bar.took_ms)} (${percent(bar.took_ms / total_ms)})`}</span>
      <span class="soft">{`from ${duration(bar.span.start_ms)}`}</span>
      {bar.span.node && <span class="soft mono">{bar.span.node}</span>}
      {attributes.map(([name, value]) => (
        <span key={name}>
          <span class="soft">{name}</span> {textOf(value)}
        </span>
      ))}
    </div>
  );
}

const textOf = (value: unknown): string =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);

const attributesText = ({ span }: Bar): string =>
  Object.entries(span.attributes ?? {})
    .map(([name, value]) => `${name} ${textOf(value)}`)
    .join(", ");

function SpanTable({ lanes }: { lanes: readonly Lane[] }) {
  return (
    <Table<Bar>
      label="Spans"
      rows={lanes.flatMap(({ bars }) => bars)}
      keyOf={keyOf}
      columns={[
        {
          title: "Span",
          cell: ({ span }) => (span.inside ? `${span.inside} / ${span.name}` : span.name),
        },
        { title: "Answer", cell: ({ span }) => span.choice ?? "all" },
        { title: "From", figure: true, cell: ({ span }) => duration(span.start_ms) },
        {
          title: "Took",
          figure: true,
          cell: ({ took_ms, open }) => `${duration(took_ms)}${open ? ", open" : ""}`,
        },
        { title: "At", cell: ({ span }) => span.node ?? "" },
        { title: "Says", cell: attributesText },
      ]}
    />
  );
}
