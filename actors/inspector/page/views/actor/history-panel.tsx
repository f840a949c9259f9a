/** Time travel: the messages that the actor took, and its state before and after each. */
import { useEffect, useRef, useState } from "preact/hooks";
import { changesIn, diffOf } from "../../data/diff.ts";
import { HISTORY_MAX, type History } from "../../data/history.ts";
import type { Entry, NodeKind } from "../../data/types.ts";
import { hrefOf } from "../../shell/route.ts";
import { Button } from "../../ui/button.tsx";
import { Chip } from "../../ui/chip.tsx";
import { clockTime, count, duration } from "../../ui/format.ts";
import { JsonTree } from "../../ui/json-tree.tsx";
import { Empty, Panel } from "../../ui/parts.tsx";
import { type Tab, Tabs } from "../../ui/tabs.tsx";

type HistoryProps = { readonly history: History; readonly kind: NodeKind };

export function HistoryPanel({ history, kind }: HistoryProps) {
  const { entries, dropped } = history;
  /** Undefined: the newest one, whichever that is. */
  const [seq, setSeq] = useState<number>();
  const at = seq === undefined ? entries.length - 1 : indexOf(entries, seq);
  const entry = entries[at];
  const choose = (index: number) => setSeq(entries[index]?.seq);
  const title = (
    <>
      History <small>{count(entries.length)} messages</small>
    </>
  );
  useArrows((by) => choose(Math.min(entries.length - 1, Math.max(0, at + by))));
  if (entry === undefined) {
    return (
      <Panel title={title}>
        <Empty icon="restart" title="No message yet">
          {kind === "process" && "Most messages go to the actors in a process, not to itself. "}
          While this page is open, what the actor takes is recorded with its state before and after:
          up to {HISTORY_MAX} messages.
        </Empty>
      </Panel>
    );
  }
  return (
    <Panel title={title} actions={<Steps at={at} count={entries.length} choose={choose} />}>
      <Slider
        entries={entries}
        at={at}
        isLive={seq === undefined}
        choose={choose}
        follow={() => setSeq(undefined)}
        freeze={() => setSeq(entry.seq)}
      />
      <div class="history">
        <Entries entries={entries} at={at} choose={choose} />
        <EntryDetail entry={entry} />
      </div>
      {dropped > 0 && (
        <p class="history-note">
          {count(dropped)} messages went by faster than they could be kept.
        </p>
      )}
    </Panel>
  );
}

/** Arrow keys step through the history while nothing else has the focus that takes them. */
function useArrows(step: (by: number) => void): void {
  const latest = useRef(step);
  latest.current = step;
  useEffect(() => {
    const pressed = ({ key, target, ctrlKey, metaKey, altKey }: KeyboardEvent) => {
      const isFree = target === document.body || (target as HTMLElement).id === "main";
      if (!isFree || ctrlKey || metaKey || altKey) return;
      if (key === "ArrowLeft") latest.current(-1);
      if (key === "ArrowRight") latest.current(1);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

/** Entries that are no longer kept: the oldest one. */
function indexOf(entries: readonly Entry[], seq: number): number {
  const at = entries.findIndex((entry) => entry.seq >= seq);
  return at < 0 ? entries.length - 1 : at;
}

type StepsProps = {
  readonly at: number;
  readonly count: number;
  readonly choose: (index: number) => void;
};

function Steps({ at, count: of, choose }: StepsProps) {
  return (
    <>
      <Button
        icon="first"
        kind="quiet"
        label="Oldest"
        disabled={at <= 0}
        onClick={() => choose(0)}
      />
      <Button
        icon="left"
        kind="quiet"
        label="The message before"
        disabled={at <= 0}
        onClick={() => choose(at - 1)}
      />
      <Button
        icon="right"
        kind="quiet"
        label="The next message"
        disabled={at >= of - 1}
        onClick={() => choose(at + 1)}
      />
      <Button
        icon="last"
        kind="quiet"
        label="Newest"
        disabled={at >= of - 1}
        onClick={() => choose(of - 1)}
      />
    </>
  );
}

type SliderProps = {
  readonly entries: readonly Entry[];
  readonly at: number;
  readonly isLive: boolean;
  readonly choose: (index: number) => void;
  readonly follow: () => void;
  readonly freeze: () => void;
};

/** The browser's own slider has the keys: arrows, Home, End. */
function Slider({ entries, at, isLive, choose, follow, freeze }: SliderProps) {
  const entry = entries[at];
  return (
    <div class="history-slider">
      <input
        type="range"
        aria-label="Message"
        aria-valuetext={entry && `${entry.kind} at ${clockTime(entry.at_ms)}`}
        min={0}
        max={Math.max(1, entries.length - 1)}
        value={at}
        onInput={(event) => choose(event.currentTarget.valueAsNumber)}
      />
      <span class="history-at">
        {at + 1}/{entries.length}
      </span>
      <Button
        icon={isLive ? "pause" : "play"}
        pressed={isLive}
        onClick={isLive ? freeze : follow}
        title={isLive ? "Stay at this message" : "Follow the newest message"}
      >
        {isLive ? "Live" : "Follow"}
      </Button>
    </div>
  );
}

type EntriesProps = {
  readonly entries: readonly Entry[];
  readonly at: number;
  readonly choose: (index: number) => void;
};

/** Scrolls the list alone, not what it stands in. */
function keepInSight(list: HTMLElement): void {
  const chosen = list.querySelector("[aria-current]");
  if (chosen === null) return;
  const [frame, row] = [list.getBoundingClientRect(), chosen.getBoundingClientRect()];
  if (row.top < frame.top) list.scrollTop -= frame.top - row.top;
  else if (row.bottom > frame.bottom) list.scrollTop += row.bottom - frame.bottom;
}

/** Newest first. */
function Entries({ entries, at, choose }: EntriesProps) {
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    if (list.current !== null) keepInSight(list.current);
  }, [at]);
  return (
    <ol ref={list} class="history-list" aria-label="Messages, newest first">
      {entries
        .map((entry, i) => (
          <li key={entry.seq}>
            <button
              type="button"
              aria-current={i === at ? "true" : undefined}
              onClick={() => choose(i)}
            >
              <time>{clockTime(entry.at_ms)}</time>
              <b>{entry.kind}</b>
              {entry.crashed !== undefined && <Chip tone="bad">✕ crashed</Chip>}
              <span>{duration(entry.took_ms)}</span>
            </button>
          </li>
        ))
        .reverse()}
    </ol>
  );
}

/** Stay as the reader set them, from actor to actor. */
let keptTab = "state";
let keptOnly = true;

function EntryDetail({ entry }: { entry: Entry }) {
  const [tab, setTab] = useState(keptTab);
  const [changesOnly, setChangesOnly] = useState(keptOnly);
  const { before, after, message, crashed } = entry;
  const changes = changesIn(diffOf(before, after));
  const choose = (id: string) => {
    keptTab = id;
    setTab(id);
  };
  const tabs: readonly Tab[] = [
    {
      id: "state",
      title: (
        <>
          State <small>{changes === 0 ? "unchanged" : `${changes} changed`}</small>
        </>
      ),
      body: () => (
        <div class="panel-body">
          <label class="history-only">
            <input
              type="checkbox"
              checked={changesOnly}
              onChange={(event) => {
                keptOnly = event.currentTarget.checked;
                setChangesOnly(keptOnly);
              }}
            />
            Changes alone
          </label>
          {changesOnly && changes === 0 ? (
            <p class="history-same">It changed nothing of what the actor shows of itself.</p>
          ) : (
            <JsonTree value={after} before={before} changesOnly={changesOnly} />
          )}
        </div>
      ),
    },
    {
      id: "message",
      title: "Message",
      body: () => (
        <div class="panel-body">
          <JsonTree value={message} />
        </div>
      ),
    },
  ];
  return (
    <div class="history-entry">
      <div class="history-head">
        <b class="mono">{entry.kind}</b>
        {entry.ask && <Chip title="The sender waits for an answer">ask</Chip>}
        {entry.from !== null && (
          <span>
            from <a href={hrefOf("actor", entry.from)}>{entry.from}</a>
          </span>
        )}
        <span>waited {duration(entry.waited_ms)}</span>
        <span>took {duration(entry.took_ms)}</span>
        {entry.trace_id !== undefined && <span class="mono">trace {entry.trace_id}</span>}
      </div>
      {crashed !== undefined && <pre class="crash-text">{crashed}</pre>}
      <Tabs label="The message and its effect" tabs={tabs} chosen={tab} onChoose={choose} />
    </div>
  );
}
