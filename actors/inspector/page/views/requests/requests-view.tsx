/** Live and recent requests; `#/requests/ID` is one of them. */
import { useState } from "preact/hooks";
import { hrefOf } from "../../shell/route.ts";
import { Button } from "../../ui/button.tsx";
import { Chip } from "../../ui/chip.tsx";
import { Choices } from "../../ui/choices.tsx";
import { count, duration, timeOfDay } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { Empty } from "../../ui/parts.tsx";
import type { ViewProps } from "../view.ts";
import "./requests.css";
import { RequestDetail } from "./request-detail.tsx";
import {
  countsOf,
  isStuck,
  listed,
  noFilter,
  type RequestCounts,
  type RequestFilter,
} from "./request-list.ts";
import type { RequestRow } from "./request-row.ts";
import { RequestState } from "./request-state.tsx";
import { useRequests } from "./use-requests.ts";

export function RequestsView({ rest }: ViewProps) {
  return rest === "" ? <RequestList /> : <RequestDetail key={rest} id={rest} />;
}

/** More rows than a reader looks through are shown when they are asked for. */
const FIRST_ROWS = 100;

function RequestList() {
  const { value: rows, loaded, failure } = useRequests();
  const [filter, setFilter] = useState(noFilter);
  const [most, setMost] = useState(FIRST_ROWS);
  const all = listed(rows, filter);
  const counts = countsOf(rows);
  return (
    <div class="view requests">
      <div class="view-head">
        <h1>Requests</h1>
        <Filters filter={filter} counts={counts} total={rows.size} onChange={setFilter} />
      </div>
      {counts.stuck > 0 && <StuckNote stuck={counts.stuck} />}
      <section class="panel">
        {all.length > 0 && <RequestTable rows={all.slice(0, most)} />}
        {all.length === 0 && <Nothing loaded={loaded} failure={failure} some={rows.size > 0} />}
        {all.length > most && (
          <p class="more-rows">
            <Button onClick={() => setMost(most + FIRST_ROWS)}>
              {`Show ${Math.min(FIRST_ROWS, all.length - most)} more of ${all.length}`}
            </Button>
          </p>
        )}
      </section>
    </div>
  );
}

function StuckNote({ stuck }: { stuck: number }) {
  return (
    <p class="stuck-note" role="status">
      <Icon name="warning" />
      {stuck === 1
        ? "One request makes no progress. It stands first below."
        : `${stuck} requests make no progress. They stand first below.`}
    </p>
  );
}

type FiltersProps = {
  readonly filter: RequestFilter;
  readonly counts: RequestCounts;
  readonly total: number;
  readonly onChange: (filter: RequestFilter) => void;
};

function Filters({ filter, counts, total, onChange }: FiltersProps) {
  const choices = [
    ["all", `All ${total}`],
    ["live", `Live ${counts.live}`],
    ["stuck", `Stuck ${counts.stuck}`],
    ["failed", `Failed ${counts.failed}`],
  ] as const;
  return (
    <>
      <Choices
        label="Which requests"
        options={choices}
        chosen={filter.show}
        onChoose={(show) => onChange({ ...filter, show })}
      />
      <div class="search">
        <Icon name="search" />
        <input
          type="search"
          data-search
          aria-label="Search requests"
          placeholder="Id, model, worker, phase"
          value={filter.words}
          onInput={(event) => onChange({ ...filter, words: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key === "Escape") onChange({ ...filter, words: "" });
          }}
        />
      </div>
    </>
  );
}

type NothingProps = {
  readonly loaded: boolean;
  readonly failure: string | undefined;
  readonly some: boolean;
};

function Nothing({ loaded, failure, some }: NothingProps) {
  if (failure !== undefined) {
    return (
      <Empty icon="warning" title="Requests cannot be read">
        {failure}
      </Empty>
    );
  }
  if (!loaded) {
    return (
      <Empty icon="requests" title="Asking for requests">
        The frontends tell what they have under way.
      </Empty>
    );
  }
  if (some) {
    return (
      <Empty icon="search" title="No request fits">
        Take a word away, or choose All.
      </Empty>
    );
  }
  return (
    <Empty icon="requests" title="No requests yet">
      Send one to the OpenAI port, or <a href={hrefOf("chat")}>ask something in the chat</a>. It
      shows here while it runs and after it has ended.
    </Empty>
  );
}

const columns = [
  ["State", "", ""],
  ["Request", "", ""],
  ["Model", "", ""],
  ["Worker", "", ""],
  ["Started", "figure", ""],
  ["Took", "figure", ""],
  ["TTFT", "figure", "Time to first token"],
  ["ITL", "figure", "Inter-token latency: time between two tokens, on average"],
  ["In", "figure", "Tokens of the prompt"],
  ["Cached", "figure", "Tokens of the prompt that a cache had"],
  ["Out", "figure", "Tokens of the answer"],
] as const;

function RequestTable({ rows }: { rows: readonly RequestRow[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <section class="table-box" aria-label="Requests" tabIndex={0}>
      <table class="table request-table">
        <thead>
          <tr>
            {columns.map(([title, kind, says]) => (
              <th key={title} scope="col" class={kind} title={says || undefined}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.id} row={row} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The rest of it is the same for all rows of one cluster. */
const shortId = (id: string): string => (id.length > 12 ? `${id.slice(0, 10)}…` : id);

function Row({ row }: { row: RequestRow }) {
  const { id, model, endpoint, workers, migrations, resumes } = row;
  return (
    <tr class={isStuck(row) ? "stuck" : ""}>
      <td>
        <RequestState row={row} />
      </td>
      <td>
        <a class="mono" href={hrefOf("requests", id)} title={`${id}, ${endpoint}`}>
          {shortId(id)}
        </a>
      </td>
      <td data-title="Model">{model}</td>
      <td data-title="Worker">
        <span class="workers-of">{workers.join(" → ") || "–"}</span>
        {migrations > 0 && (
          <Chip
            tone="accent"
            title="Moves to another worker"
          >{`${migrations} ${migrations === 1 ? "move" : "moves"}`}</Chip>
        )}
        {resumes > 0 && (
          <Chip tone="accent" title="Its client lost its connection and came back">
            {`${resumes} resumed`}
          </Chip>
        )}
      </td>
      <td data-title="Started" class="figure">
        {timeOfDay(row.started_ms)}
      </td>
      <td data-title="Took" class="figure">
        {duration(row.duration_ms)}
      </td>
      <td data-title="TTFT" class="figure">
        {duration(row.ttft_ms)}
      </td>
      <td data-title="ITL" class="figure">
        {duration(row.itl_ms)}
      </td>
      <td data-title="In" class="figure">
        {count(row.prompt_tokens)}
      </td>
      <td data-title="Cached" class="figure">
        {count(row.state === "live" && row.cached_tokens === 0 ? undefined : row.cached_tokens)}
      </td>
      <td data-title="Out" class="figure">
        {count(row.output_tokens)}
      </td>
    </tr>
  );
}
