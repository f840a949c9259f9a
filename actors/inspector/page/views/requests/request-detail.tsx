/** One request: how its time went, who got it and why, what was made. */
import { useEffect, useRef } from "preact/hooks";
import { hrefOf } from "../../shell/route.ts";
import { CopyButton } from "../../ui/button.tsx";
import { Chip } from "../../ui/chip.tsx";
import { clockTime, count, duration, percent } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { Empty, Panel, Stat, Stats } from "../../ui/parts.tsx";
import { isStuck } from "./request-list.ts";
import type { RequestPage } from "./request-row.ts";
import { RequestState } from "./request-state.tsx";
import { RouteDecision } from "./route-decision.tsx";
import { useRequest } from "./use-requests.ts";
import { WaterfallChart } from "./waterfall-chart.tsx";

export function RequestDetail({ id }: { id: string }) {
  const { page, failure } = useRequest(id);
  return (
    <div class="view requests">
      <div class="view-head">
        <a class="button quiet" href={hrefOf("requests")}>
          <Icon name="left" />
          <span>All requests</span>
        </a>
        <h1 class="mono request-id">{id}</h1>
        <CopyButton text={() => id}>Copy id</CopyButton>
      </div>
      {page !== undefined && <Found page={page} />}
      {page === undefined && failure !== undefined && (
        <Empty icon="requests" title="This request is not here">
          {failure.status === 404
            ? "It ended some time ago: each frontend remembers its last 200."
            : failure.message}
        </Empty>
      )}
    </div>
  );
}

function Found({ page }: { page: RequestPage }) {
  const { error, route = [], text = "" } = page;
  return (
    <>
      <Facts page={page} />
      {error && (
        <p class="request-error" role="alert">
          <Icon name="warning" />
          {error}
        </p>
      )}
      <Figures page={page} />
      <WaterfallChart spans={page.spans} duration_ms={page.duration_ms} />
      {route.map((each, at) => (
        <RouteDecision key={`${each.at_ms}-${at}`} route={each} />
      ))}
      <Output text={text} live={page.state === "live"} reasons={page.finish_reasons ?? []} />
      {page.curl && <Curl curl={page.curl} />}
    </>
  );
}

function Facts({ page }: { page: RequestPage }) {
  const { model, endpoint, workers, frontend, trace_id, started_ms } = page;
  return (
    <p class="request-facts">
      <RequestState row={page} />
      <span>{model}</span>
      <span class="mono">{endpoint}</span>
      {workers.length > 0 && <span>{workers.join(" → ")}</span>}
      {frontend && <span>by {frontend}</span>}
      <span>at {clockTime(started_ms)}</span>
      {trace_id && <span class="mono">trace {trace_id}</span>}
    </p>
  );
}

function Figures({ page }: { page: RequestPage }) {
  const { prompt_tokens, cached_tokens, migrations, resumes } = page;
  // Told with the usage, at the end.
  const isKnown = page.state !== "live" || cached_tokens > 0;
  const share = isKnown && prompt_tokens > 0 ? percent(cached_tokens / prompt_tokens) : undefined;
  const stuck = isStuck(page) ? duration(page.idle_ms) : undefined;
  return (
    <Stats>
      <Stat
        label={page.state === "live" ? "So far" : "Took"}
        value={duration(page.duration_ms)}
        tone={stuck === undefined ? undefined : "bad"}
        note={stuck && `no progress for ${stuck}`}
      />
      <Stat label="TTFT" says="Time to first token" value={duration(page.ttft_ms)} />
      <Stat
        label="ITL"
        says="Inter-token latency: time between two tokens, on average"
        value={duration(page.itl_ms)}
      />
      <Stat label="Prompt tokens" value={count(prompt_tokens)} />
      <Stat label="Cached" value={count(isKnown ? cached_tokens : undefined)} note={share} />
      <Stat label="Answer tokens" value={count(page.output_tokens)} />
      <Stat label="Moves" says="How often another worker took it over" value={count(migrations)} />
      <Stat
        label="Resumed"
        says="How often its client came back after a lost connection"
        value={count(resumes)}
      />
    </Stats>
  );
}

type OutputProps = {
  readonly text: string;
  readonly live: boolean;
  readonly reasons: readonly string[];
};

/** Follows what comes, until the reader scrolls up. */
function Output({ text, live, reasons }: OutputProps) {
  const box = useRef<HTMLPreElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    const pre = box.current;
    if (pre !== null && live && follows.current) pre.scrollTop = pre.scrollHeight;
  }, [text, live]);
  const ends = reasons.map((reason, at) => (
    <Chip key={`${at}-${reason}`} title="Why it ended">
      {reasons.length > 1 ? `${at}: ${reason}` : reason}
    </Chip>
  ));
  return (
    <Panel
      title={live ? "Answer, as it comes" : "Answer"}
      actions={
        <>
          {ends}
          {text !== "" && <CopyButton text={() => text}>Copy</CopyButton>}
        </>
      }
    >
      {text === "" ? (
        <p class="panel-body soft">
          {live
            ? "Text shows here from now on."
            : "No text was kept: it is only while somebody watches the request here."}
        </p>
      ) : (
        <pre
          ref={box}
          class="request-text"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
          tabIndex={0}
          onScroll={(event) => {
            const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
            follows.current = scrollHeight - scrollTop - clientHeight < 24;
          }}
        >
          {text}
        </pre>
      )}
    </Panel>
  );
}

function Curl({ curl }: { curl: string }) {
  return (
    <Panel title="As a command" actions={<CopyButton text={() => curl}>Copy as curl</CopyButton>}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <pre class="request-text" tabIndex={0}>
        {curl}
      </pre>
    </Panel>
  );
}
